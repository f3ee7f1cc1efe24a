"""What costs are made of: the sums that a cost holds, and the layers that they come from.

Everything here works on whole numbers and on int64 arrays with a value a network alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from transxnet.stage_numbers import Number

# Letters: n = map positions (height x width) that a layer puts out.

BATCH_NORM_FLOPS = 2  # an element, in eval mode, in fvcore's and in the published convention
GROUP_NORM_FLOPS = 5  # an element, in fvcore's convention, layer norm as well; the published one takes BATCH_NORM_FLOPS


@dataclass(frozen=True)
class Cost:
    """What a network costs for one image. Costs of parts add up, and multiply with the number of equal parts.

    Each field is a whole number, or an array with one for each of many networks.
    """

    params: Number = 0
    """Learned values."""
    conv: Number = 0
    """Multiply-adds of convolutions, by fvcore's convention: no bias."""
    matmul: Number = 0
    """Multiply-adds of attention's two matrix products."""
    batch_norm: Number = 0
    """fvcore's count for batch norm in eval mode: 2 an element."""
    group_norm: Number = 0
    """fvcore's count for group norm: 5 an element."""
    layer_norm: Number = 0
    """fvcore's count for layer norm: 5 an element."""
    adaptive_avg_pool2d: Number = 0
    """fvcore's count for adaptive average pooling: its input's elements."""
    macs_published: Number = 0
    """Multiply-adds by the paper's counter: convolutions with bias, norms at 2 an element, pooling at its input's
    elements; it leaves out attention's products and convolutions with kernels made from the input."""
    activations: Number = 0
    """Elements that convolutions and matrix products put out."""
    kept: Number = field(default=0, compare=False)
    """About how many elements a training step of the plain graph keeps for its backward pass."""

    @property
    def macs(self) -> Number:
        """Multiply-adds in all, by fvcore's convention."""
        return sum(self.by_operator().values())

    @property
    def gmacs(self) -> Number:
        """Multiply-adds by fvcore's convention, in 10^9."""
        return self.macs / 1e9

    @property
    def gmacs_published(self) -> Number:
        """Multiply-adds by the paper's counter, in 10^9."""
        return self.macs_published / 1e9

    @property
    def params_m(self) -> Number:
        """Learned values, in 10^6."""
        return self.params / 1e6

    def by_operator(self) -> dict[str, Number]:
        """Multiply-adds of each operator that fvcore counts, by fvcore's names."""
        return {name: getattr(self, name) for name in OPERATORS}

    def __add__(self, other: Cost) -> Cost:
        # Most parts cost nothing of most kinds, and an array need not be copied to have nothing added to it.
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Cost(*[y if x is _ZERO else x if y is _ZERO else x + y for x, y in pairs])

    def __mul__(self, times: Number) -> Cost:
        if times is True:
            return self
        return Cost(*[value if value is _ZERO else value * times for value in vars(self).values()])


_ZERO = 0
"""The zero that fields start with, told by identity: an array is never compared."""
FIELDS = tuple(each.name for each in fields(Cost))
OPERATORS = ("conv", "matmul", "batch_norm", "group_norm", "layer_norm", "adaptive_avg_pool2d")
"""What fvcore counts, by its names."""


def conv(width_in: Number, width: Number, kernel: Number, n: Number, *, bias: bool = True) -> Cost:
    """A convolution from `width_in` to `width` channels."""
    weights, outputs = width_in * width * kernel**2, width * n
    macs = weights * n
    return Cost(params=weights + bias * width, conv=macs, macs_published=macs + bias * outputs, activations=outputs)


def depthwise(width: Number, kernel: Number, n: Number, *, bias: bool = True) -> Cost:
    """A depthwise convolution."""
    return conv(1, width, kernel, n, bias=bias)


def made_depthwise(width: Number, kernel: Number, n: Number) -> Cost:
    """A depthwise convolution with a kernel made from the input: hooks on modules, hence the paper, do not see it."""
    outputs = width * n  # its share of the map is copied to lie side by side, and kept
    return Cost(conv=outputs * kernel**2, activations=outputs, kept=outputs)


def batch_norm(width: Number, n: Number) -> Cost:
    """A batch norm."""
    flops = BATCH_NORM_FLOPS * width * n
    return Cost(params=2 * width, batch_norm=flops, macs_published=flops)


def group_norm(width: Number, n: Number) -> Cost:
    """A group norm."""
    elements = width * n
    return Cost(params=2 * width, group_norm=GROUP_NORM_FLOPS * elements, macs_published=BATCH_NORM_FLOPS * elements)


def layer_norm(width: Number, n: Number) -> Cost:
    """A layer norm over the channels."""
    elements = width * n
    return Cost(params=2 * width, layer_norm=GROUP_NORM_FLOPS * elements, macs_published=BATCH_NORM_FLOPS * elements)


def pool(width: Number, n: Number) -> Cost:
    """An adaptive average pooling of `n` positions."""
    return Cost(adaptive_avg_pool2d=width * n, macs_published=width * n)
