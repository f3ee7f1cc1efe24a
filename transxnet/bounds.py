"""What the numbers of a description may be: within bounds, so that the cost of any legal network is exact in int64."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

MOST_MAP_SIDE = 1024
"""Positions a side of the largest map: with the paper's stem an image of 4,096 pixels a side."""

# The dearest term is full attention on the first map, 2 * side^4 * width * depth = 2^(1 + 40 + 12 + 8) = 2^61. The
# MS-FFN's depthwise convolutions follow with kernel^2 * ratio * width * side^2 * depth < 2^60, its pointwise ones with
# 2 * ratio * width^2 * side^2 * depth = 2^59. Four stages, of a quarter of the positions each, and all the rest stay
# below 2^63 together.
MOST: Mapping[str, int] = {
    "depth": 256,
    "width": 4096,
    "heads": 4096,
    "osr_stride": 1024,
    "osr_overlap": 1024,
    "idconv_share": 1,
    "idconv_kernel": 127,
    "idconv_groups": 1024,
    "idconv_reduction": 4096,
    "ffn_ratio": 64,
    "ffn_kernels": 127,
    "ste_reduction": 4096,
    "ste_floor": 4096,
    "dpe_kernel": 127,
    "image_size": 4096,
    "stem_stride": 4096,
    "in_channels": 4096,
    "num_classes": 1_000_000,
}
"""The largest value of each number of StageConfig and ArchConfig."""


ImageSize: TypeAlias = int | tuple[int, int]
"""Height and width in pixels; one number is both."""


def require_whole(name: str, value: Any, least: int = 1) -> None:
    """Raises ValueError unless `value` is a whole number from `least` to the most that the field `name` takes."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    require_at_most(name, value)


def read_number(name: str, value: Any) -> float:
    """`value` as float; raises ValueError unless it is above 0 and at most what the field `name` takes."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ValueError(f"{name} must be a number above 0, got {value!r}")
    require_at_most(name, value)
    return float(value)


def require_at_most(name: str, value: float) -> None:
    """Raises ValueError for a number that the field `name` does not take, lest costs outgrow int64."""
    if value > MOST[name]:
        raise ValueError(f"{name} must be at most {MOST[name]:,}, got {value:,}; choose a smaller one")


def read_wholes(name: str, values: Any) -> tuple[int, ...]:
    """A list of whole numbers of at least 1; raises ValueError for anything else."""
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise ValueError(f"{name} must be a list of whole numbers, got {values!r}")
    whole: tuple[int, ...] = tuple(values)
    for value in whole:
        require_whole(name, value)
    return whole


def read_image_size(size: Any) -> tuple[int, int]:
    """Height and width from one number, which is both, or from the two; raises ValueError for anything else."""
    sides = tuple(size) if isinstance(size, list | tuple) else (size, size)
    if len(sides) != 2:
        raise ValueError(f"image_size must be one number or height and width, got {list(sides)}; write for example 224")
    for side in sides:
        require_whole("image_size", side)
    return sides[0], sides[1]
