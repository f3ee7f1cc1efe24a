"""Rules that a space may demand of its networks beyond their being buildable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from transxnet.arch import ArchConfig


@dataclass(frozen=True)
class Rule:
    """A demand on a whole network."""

    sentence: str
    """The demand, with its reason."""
    holds: Callable[[ArchConfig], bool]


def _never_grows(field: str) -> Callable[[ArchConfig], bool]:
    return lambda arch: all(later <= earlier for earlier, later in pairwise(arch.column(field)))


def _never_shrinks(field: str) -> Callable[[ArchConfig], bool]:
    return lambda arch: all(later >= earlier for earlier, later in pairwise(arch.column(field)))


RULES: dict[str, Rule] = {
    "osr_stride_never_grows": Rule(
        "osr_stride never grows from one stage to the next: it is there because early maps are large",
        _never_grows("osr_stride"),
    ),
    "widths_never_shrink": Rule(
        "width never shrinks from one stage to the next: a stage has a quarter of the last one's positions",
        _never_shrinks("width"),
    ),
}
"""Rule by the name that a space gives."""
