"""When a stage can be built: rules over its numbers, for one stage or for a million as numpy columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from transxnet.operators.local_mixers import WITH_BOTTLENECK
from transxnet.stage_numbers import StageNumbers


@dataclass(frozen=True)
class StageRule:
    """A demand on a stage."""

    sentence: str
    """The demand in a few words."""
    fields: tuple[str, ...]
    """Fields of StageConfig that it looks at."""
    holds: Callable[[StageNumbers], Any]
    """Whether it holds, a bool or an array with one a stage."""
    refusal: Callable[[Any], str]
    """Rule, value and remedy for a StageConfig that breaks it."""


def _unless(needed: Any, holds: Any) -> Any:
    """`holds` where it is `needed`."""
    return ~np.asarray(needed) | holds


def _splits(stage: StageNumbers) -> Any:
    local = stage.width * stage.idconv_share
    width = stage.split_width
    return _unless(stage.is_split, (abs(local - width) <= 1e-9) & (width > 0) & (width < stage.width))


def _splits_not(stage: Any) -> str:
    local = stage.width * stage.idconv_share
    return (
        f"width * idconv_share must be a whole number between 1 and width - 1, got "
        f"{stage.width} * {stage.idconv_share} = {local:g}; choose a width that the share divides, "
        f"for a share of 0.5 an even one"
    )


def _heads_not(stage: Any) -> str:
    share = f", idconv_share {stage.idconv_share}" if stage.is_split else ""
    multiple = stage.heads * (2 if stage.is_split else 1)
    return (
        f"the channels of the global mixer must be divisible by its heads, got {stage.global_width} channels (width "
        f"{stage.width}{share}) and {stage.heads} heads; choose a width that is a "
        f"multiple of {multiple}, or fewer heads"
    )


def _is_dynamic(stage: StageNumbers) -> Any:
    names = stage.local_mixer
    return np.isin(names, WITH_BOTTLENECK) if isinstance(names, np.ndarray) else names in WITH_BOTTLENECK


def _bottleneck_not(stage: Any) -> str:
    return (
        f"IDConv's bottleneck needs at least 1 channel, got {stage.local_width} // {stage.idconv_reduction} = 0; "
        f"choose an idconv_reduction of at most {stage.local_width}"
    )


def _odd(field: str) -> StageRule:
    def refusal(stage: Any) -> str:
        kernel = getattr(stage, field)
        return f"{field} must be odd, got {kernel}; choose {kernel - 1} or {kernel + 1}"

    return StageRule(f"{field} is odd", (field,), lambda stage: getattr(stage, field) % 2 == 1, refusal)


def _stride_not(stage: Any) -> str:
    stride = stage.osr_stride
    return (
        f"osr_stride must be 1 or even (an odd stride disagrees with the position table), got "
        f"{stride}; choose {stride - 1} or {stride + 1}"
    )


def _overlap_not(stage: Any) -> str:
    overlap = stage.osr_overlap
    return (
        f"osr_overlap must be odd (so that the kernel has a centre) or 0 (no overlap), got "
        f"{overlap}; choose {overlap - 1} or {overlap + 1}"
    )


def _kernels_not(stage: Any) -> str:
    kernels = stage.ffn_kernels
    if kernels and list(kernels) == sorted(set(kernels)):
        even = next(kernel for kernel in kernels if kernel % 2 == 0)
        return f"each of ffn_kernels must be odd, got {even}; choose {even - 1} or {even + 1}"
    return (
        f"ffn_kernels must be one or more different sizes in increasing order, got "
        f"{list(kernels)}; write for example [1, 3, 5, 7]"
    )


def _hidden_not(stage: Any) -> str:
    return (
        f"the MS-FFN needs a hidden channel for each kernel, got int({stage.width} * {stage.ffn_ratio:g}) = "
        f"{stage.ffn_hidden} for {stage.ffn_scales} kernels; raise ffn_ratio or drop kernels"
    )


_SPLIT = ("width", "idconv_share", "local_mixer", "global_mixer", "mixing")

STAGE_RULES: dict[str, StageRule] = {
    "idconv_kernel_odd": _odd("idconv_kernel"),
    "dpe_kernel_odd": _odd("dpe_kernel"),
    "osr_stride_even": StageRule(
        "osr_stride is 1 or even: an odd one disagrees with the position table",
        ("osr_stride",),
        lambda stage: (stage.osr_stride == 1) | (stage.osr_stride % 2 == 0),
        _stride_not,
    ),
    "osr_overlap_odd": StageRule(
        "osr_overlap is odd or 0",
        ("osr_overlap",),
        lambda stage: (stage.osr_overlap == 0) | (stage.osr_overlap % 2 == 1),
        _overlap_not,
    ),
    "ffn_kernels_increase": StageRule(
        "ffn_kernels are odd and increase", ("ffn_kernels",), lambda stage: stage.ffn_kernels_are_sound, _kernels_not
    ),
    "split_is_whole": StageRule(
        "idconv_share of the width is a whole number of channels, and leaves some", _SPLIT, _splits, _splits_not
    ),
    "heads_divide": StageRule(
        "the channels of the global mixer are divisible by its heads",
        (*_SPLIT, "heads"),
        lambda stage: _unless(stage.has_global, stage.global_width % stage.heads == 0),
        _heads_not,
    ),
    "bottleneck_has_channels": StageRule(
        "the bottleneck of a dynamic local mixer has a channel",
        (*_SPLIT, "idconv_reduction"),
        lambda stage: _unless(_is_dynamic(stage), stage.idconv_bottleneck >= 1),
        _bottleneck_not,
    ),
    "hidden_has_channels": StageRule(
        "the feed-forward network has a hidden channel for each kernel",
        ("width", "ffn_ratio", "ffn_kernels", "ffn"),
        lambda stage: (stage.ffn_hidden >= 1) & _unless(stage.ffn == "msffn", stage.ffn_hidden >= stage.ffn_scales),
        _hidden_not,
    ),
}
"""Rule by name, in the order in which they are checked."""
