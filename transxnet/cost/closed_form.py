"""The cost of a network by closed form, from its description alone."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

from transxnet.arch import STEM_KERNEL, ArchConfig, StageConfig

# Letters: n = map positions (height x width), m = positions of the reduced map that OSRA attends to.

BATCH_NORM_FLOPS = 2  # an element, in eval mode, in fvcore's and in the published convention
GROUP_NORM_FLOPS = 5  # an element, in fvcore's convention; the published one takes BATCH_NORM_FLOPS


@dataclass(frozen=True)
class Cost:
    """What a network costs for one image. Costs of parts add up, and multiply with the number of equal parts."""

    params: int = 0
    """Learned values."""
    conv: int = 0
    """Multiply-adds of convolutions, by fvcore's convention: no bias."""
    matmul: int = 0
    """Multiply-adds of attention's two matrix products."""
    batch_norm: int = 0
    """fvcore's count for batch norm in eval mode: 2 an element."""
    group_norm: int = 0
    """fvcore's count for group norm: 5 an element."""
    adaptive_avg_pool2d: int = 0
    """fvcore's count for adaptive average pooling: its input's elements."""
    macs_published: int = 0
    """Multiply-adds by the paper's counter: convolutions with bias, norms at 2 an element, pooling at its input's
    elements; it leaves out attention's products and IDConv's own convolution."""
    activations: int = 0
    """Elements that convolutions and matrix products put out."""

    @property
    def macs(self) -> int:
        """Multiply-adds in all, by fvcore's convention."""
        return self.conv + self.matmul + self.batch_norm + self.group_norm + self.adaptive_avg_pool2d

    @property
    def gmacs(self) -> float:
        """Multiply-adds by fvcore's convention, in 10^9."""
        return self.macs / 1e9

    @property
    def gmacs_published(self) -> float:
        """Multiply-adds by the paper's counter, in 10^9."""
        return self.macs_published / 1e9

    @property
    def params_m(self) -> float:
        """Learned values, in 10^6."""
        return self.params / 1e6

    def by_operator(self) -> dict[str, int]:
        """Multiply-adds of each operator that fvcore counts, by fvcore's names."""
        return {name: getattr(self, name) for name in OPERATORS}

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, name) + getattr(other, name) for name in _FIELDS))

    def __mul__(self, times: int) -> Cost:
        return Cost(*(getattr(self, name) * times for name in _FIELDS))


_FIELDS = tuple(field.name for field in fields(Cost))
OPERATORS = ("conv", "matmul", "batch_norm", "group_norm", "adaptive_avg_pool2d")


def estimate(arch: ArchConfig, image_size: tuple[int, int] | None = None) -> Cost:
    """Cost for one image of `image_size` (height, width; by default the size of the position tables, which stay)."""
    first = arch.stages[0]
    positions = [height * width for height, width in arch.grids(image_size)]
    total = _conv(arch.in_channels, first.width, STEM_KERNEL, positions[0], bias=False)
    total += _batch_norm(first.width, positions[0])
    for index, (stage, grid, table) in enumerate(zip(arch.stages, arch.grids(image_size), arch.grids(), strict=True)):
        if index:
            total += _downsampling(arch.stages[index - 1].width, stage.width, positions[index])
        total += stage_cost(stage, grid, table)
    return total + _head(arch.stages[-1].width, arch.num_classes, positions[-1])


@lru_cache(maxsize=65536)
def stage_cost(stage: StageConfig, grid: tuple[int, int], table_grid: tuple[int, int]) -> Cost:
    """Cost of a stage's blocks and position table on a map of `grid`, the table being made for `table_grid`."""
    n, m = _tokens(grid, 1), _tokens(grid, stage.osr_stride)
    table = stage.heads * _tokens(table_grid, 1) * _tokens(table_grid, stage.osr_stride)
    block = _positions_and_norms(stage, n)
    block += _idconv(stage, n) + _osra(stage, n, m) + _ste(stage, n) + _ms_ffn(stage, n)
    return block * stage.depth + Cost(params=table)


def _positions_and_norms(stage: StageConfig, n: int) -> Cost:
    """DPE, the block's two group norms and its two layer scales."""
    width = stage.width
    # The official graph runs layer scale as a depthwise 1x1 convolution of bare tensors: fvcore sees it, the
    # published counter, which hooks modules, does not.
    layer_scale = Cost(params=2 * width, conv=width * n, activations=width * n)
    return _depthwise(width, stage.dpe_kernel, n) + (_group_norm(width, n) + layer_scale) * 2


def _idconv(stage: StageConfig, n: int) -> Cost:
    width, bottleneck, groups = stage.local_width, stage.idconv_bottleneck, stage.idconv_groups
    area = stage.idconv_kernel**2
    taps = area + 1  # one projection gives the kernel's taps from the pooled map and the bias from its mean
    mixed = _conv(width, bottleneck, 1, taps, bias=False) + _batch_norm(bottleneck, taps)
    mixed += _conv(bottleneck, groups * width, 1, taps)
    own = Cost(conv=width * area * n, activations=width * n)  # the published counter does not see it
    bank = Cost(params=groups * width * (area + 1))
    return mixed + own + bank + _pool(width, n)


def _osra(stage: StageConfig, n: int, m: int) -> Cost:
    width = stage.global_width
    total = _conv(width, width, 1, n)
    if stage.osr_stride > 1:
        total += _depthwise(width, stage.osr_kernel, m, bias=False) + _depthwise(width, 1, m, bias=False)
        total += _batch_norm(width, m) * 2
    total += _depthwise(width, 3, m) + _conv(width, 2 * width, 1, m)
    products = Cost(matmul=2 * n * m * width, activations=stage.heads * n * m + n * width)
    return total + products


def _ste(stage: StageConfig, n: int) -> Cost:
    width, bottleneck = stage.width, stage.ste_width
    total = _depthwise(width, 3, n) + _batch_norm(width, n)
    total += _conv(width, bottleneck, 1, n) + _batch_norm(bottleneck, n)
    return total + _conv(bottleneck, width, 1, n) + _batch_norm(width, n)


def _ms_ffn(stage: StageConfig, n: int) -> Cost:
    width, hidden = stage.width, stage.ffn_hidden
    total = _conv(width, hidden, 1, n, bias=False) + _batch_norm(hidden, n) * 2
    for kernel, channels in zip(stage.ffn_kernels, stage.ffn_split, strict=True):
        total += _depthwise(channels, kernel, n)
    return total + _conv(hidden, width, 1, n, bias=False) + _batch_norm(width, n)


def _downsampling(width_in: int, width: int, n: int) -> Cost:
    return _conv(width_in, width, 3, n, bias=False) + _batch_norm(width, n)


def _head(width: int, num_classes: int, n: int) -> Cost:
    return _group_norm(width, n) + _pool(width, n) + _conv(width, num_classes, 1, 1)


def _conv(width_in: int, width: int, kernel: int, n: int, *, bias: bool = True) -> Cost:
    weights, outputs = width_in * width * kernel**2, width * n
    macs = weights * n
    return Cost(params=weights + bias * width, conv=macs, macs_published=macs + bias * outputs, activations=outputs)


def _depthwise(width: int, kernel: int, n: int, *, bias: bool = True) -> Cost:
    return _conv(1, width, kernel, n, bias=bias)


def _batch_norm(width: int, n: int) -> Cost:
    flops = BATCH_NORM_FLOPS * width * n
    return Cost(params=2 * width, batch_norm=flops, macs_published=flops)


def _group_norm(width: int, n: int) -> Cost:
    elements = width * n
    return Cost(params=2 * width, group_norm=GROUP_NORM_FLOPS * elements, macs_published=BATCH_NORM_FLOPS * elements)


def _pool(width: int, n: int) -> Cost:
    return Cost(adaptive_avg_pool2d=width * n, macs_published=width * n)


def _tokens(grid: tuple[int, int], stride: int) -> int:
    return -(-grid[0] // stride) * -(-grid[1] // stride)
