"""AdamW on flat tensors: as many values, but two tensors to update, clip and set to zero instead of hundreds.

On small networks the optimiser's time is not arithmetic but the walk over the parameters. Here they become views
of one buffer and their gradients views of another, so that torch's own fused AdamW sees one tensor a group.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

_ALIGNMENT = 16
"""Values; each parameter begins at a multiple of 64 bytes, as kernels with vector loads like it."""


class FlatAdamW(torch.optim.AdamW):
    """torch.optim.AdamW(fused=True) of parameter groups, each group as one tensor.

    The parameters stay where they are in their module and keep their memory format. Their gradients are views that
    must stay: call this `zero_grad`, not the module's. A parameter that no loss reached has a gradient of zeros.
    """

    def __init__(self, groups: Sequence[Mapping[str, Any]], learning_rate: float) -> None:
        """`groups` as of timm's param_groups_weight_decay: `params` and `weight_decay` of each.

        Raises ValueError unless all parameters have one dtype and device and lie densely in memory.
        """
        members_of = [list(group["params"]) for group in groups]
        every = [parameter for members in members_of for parameter in members]
        _require_alike(every)
        sizes = [sum(_room(parameter) for parameter in members) for members in members_of]
        # Weak: a parameter that its module has exchanged for another is then seen to be gone.
        self._parameters = [[weakref.ref(parameter) for parameter in members] for members in members_of]
        values = every[0].detach().new_zeros(sum(sizes))
        self._whole = _with_gradient(values, torch.zeros_like(values))
        _move_into(self._whole, every)
        flat = zip(torch.split(values, sizes), torch.split(self._gradient, sizes), groups, strict=True)
        super().__init__(
            [
                {"params": [_with_gradient(part, gradient)], "weight_decay": group["weight_decay"]}
                for part, gradient, group in flat
            ],
            lr=learning_rate,
            fused=True,
        )

    def zero_grad(self, set_to_none: bool = False) -> None:
        """Set all gradients to zero, in place whatever is asked for."""
        self._gradient.zero_()

    def clip_grad_norm(self, largest: float) -> Tensor:
        """Scale the gradient down to the norm `largest`; returns the norm that it had."""
        return torch.nn.utils.clip_grad_norm_(self._whole, largest)

    def step(self, closure: Any = None) -> Any:
        """AdamW's step. Raises RuntimeError if the gradients are no longer where it looks for them."""
        _require_in_place(self._parameters[0][0](), self._whole)
        return super().step(closure)

    @property
    def decays(self) -> list[tuple[Tensor, float]]:
        """Each of the module's parameters with its weight decay."""
        rates = [group["weight_decay"] for group in self.param_groups]
        alive = [
            [parameter for member in members if (parameter := member()) is not None] for members in self._parameters
        ]
        return [(parameter, rate) for members, rate in zip(alive, rates, strict=True) for parameter in members]

    @property
    def _gradient(self) -> Tensor:
        assert self._whole.grad is not None, "made with a gradient"
        return self._whole.grad


def _move_into(whole: Tensor, parameters: Sequence[Tensor]) -> None:
    """Make each parameter and its gradient a view of `whole` and its gradient, strides kept."""
    assert whole.grad is not None, "made with a gradient"
    start = 0
    for parameter in parameters:
        place = (parameter.size(), parameter.stride(), start)
        view = whole.data.as_strided(*place).copy_(parameter.detach())
        parameter.data, parameter.grad = view, whole.grad.as_strided(*place)
        start += _room(parameter)


def _require_in_place(first: Tensor | None, whole: Tensor) -> None:
    """The first parameter tells for all: what moves parameters or gradients moves those of a whole module."""
    assert whole.grad is not None, "made with a gradient"
    if (
        first is None
        or first.grad is None
        or first.data_ptr() != whole.data_ptr()
        or first.grad.data_ptr() != whole.grad.data_ptr()
    ):
        raise RuntimeError(
            "a flat optimiser's parameters and gradients must stay where it put them, got others; call its zero_grad, "
            "not the module's, and load weights without assign=True"
        )


def _with_gradient(values: Tensor, gradient: Tensor) -> torch.nn.Parameter:
    parameter = torch.nn.Parameter(values)
    parameter.grad = gradient
    return parameter


def _room(parameter: Tensor) -> int:
    """Values from the parameter's beginning to that of the next."""
    return -(-parameter.numel() // _ALIGNMENT) * _ALIGNMENT


def _require_alike(parameters: Sequence[Tensor]) -> None:
    kinds = sorted({f"{parameter.dtype} on {parameter.device}" for parameter in parameters})
    if len(kinds) != 1:
        raise ValueError(f"a flat optimiser needs parameters of one dtype on one device, got {', '.join(kinds)}")
    for parameter in parameters:
        if torch.empty_like(parameter).stride() != parameter.stride():  # which keeps the strides of dense tensors alone
            raise ValueError(
                f"a flat optimiser needs parameters without gaps in memory, got one of shape {list(parameter.shape)} "
                f"with strides {list(parameter.stride())}; make it contiguous"
            )
