"""Variants of equal cost: the stage widths at which a variant costs what its base costs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from space.words import require_known
from transxnet.arch import ArchConfig, StageConfig
from transxnet.bounds import MOST
from transxnet.columns import ArchColumns, Column, StageColumns
from transxnet.cost import Cost, estimate
from transxnet.stage_numbers import Number
from transxnet.stage_rules import STAGE_RULES

TOLERANCE = 0.01
"""How far, as a share of the base's cost, a matched variant may cost more or less."""
MOST_FACTOR = 4
"""Widths are multiplied or divided by so much at most."""
REACH = 2
"""Legal widths up and down from uniform scaling that each stage may take."""


@dataclass(frozen=True)
class MatchedCost:
    """A cost that variants may have in common."""

    label: str
    """What people call it."""
    of: Callable[[Cost], Number]


MATCHES: Mapping[str, MatchedCost] = {
    "gmacs": MatchedCost("multiply-adds", lambda cost: cost.macs),
    "params": MatchedCost("parameters", lambda cost: cost.params),
}
"""Cost by the word that a space gives for `match`."""


@dataclass(frozen=True)
class Match:
    """A variant at the widths that suit its base's cost."""

    arch: ArchConfig
    departure: float
    """What it costs beyond the base, as a share of the base's cost; below 0 where it costs less."""

    @property
    def holds(self) -> bool:
        """Whether it costs what the base costs, within TOLERANCE."""
        return abs(self.departure) <= TOLERANCE


def with_match(space: Mapping[str, Any], match: str | None) -> Mapping[str, Any]:
    """The description of a space, which Space.from_dict reads, with its variants matched, unless `match` is None."""
    return space if match is None else {**space, "match": match}


def check_match(match: str, varied: Iterable[str]) -> None:
    """Raises ValueError for an unknown word, and for a space that varies width; `varied` are names of fields."""
    require_known(match, MATCHES, "match")
    if "width" in varied:
        raise ValueError(
            f"a space whose variants are matched by width must not vary it, got match={match} and a dimension of "
            f"width; leave out match, or the dimension"
        )


# The same variant is asked for again and again: by a suggester, the sweep, the report.
@lru_cache(maxsize=8192)
def match_cost(arch: ArchConfig, base: ArchConfig, match: str, most_uneven: float = math.inf) -> Match:
    """`arch` with the widths, among legal ones, that give it the cost of `base` at the least change of shape.

    Unchanged where it costs that within TOLERANCE. Otherwise the widths that scale most evenly among those within
    TOLERANCE and within REACH legal widths of uniform scaling; or, if there are none, those of the nearest cost. No
    stage is widened more than `most_uneven` times as much as another.
    """
    price = MATCHES[match].of
    target = price(estimate(base))
    unchanged = Match(arch, price(estimate(arch)) / target - 1)
    if unchanged.holds:
        return unchanged
    legal = [_legal_widths(stage) for stage in arch.stages]
    widths = _around(arch, legal, target, price)
    ratios = widths / np.array(arch.column("width"))
    even = ratios.max(axis=1) <= most_uneven * ratios.min(axis=1) * (1 + 1e-12)
    widths, ratios = widths[even], ratios[even]
    departures = _prices(arch, widths, price) / target - 1
    best = _best(ratios, departures)
    return Match(arch.with_stages(width=widths[best].tolist()), float(departures[best]))


def width_factor(arch: ArchConfig, base: ArchConfig) -> float:
    """How much wider a network is than another, all stages together: the ratio of the sums of their widths."""
    widths, own = (sum(described.column("width")) for described in (arch, base))
    return float(widths / own)


def _legal_widths(stage: StageConfig) -> Column:
    """Widths with which the stage can be built, in increasing order."""
    widths = np.arange(1, min(MOST_FACTOR * stage.width, MOST["width"]) + 1)
    columns = StageColumns({**vars(stage), "width": widths})
    legal = np.ones(len(widths), dtype=bool)
    for rule in STAGE_RULES.values():
        legal &= rule.holds(columns)
    return widths[legal]


def _around(arch: ArchConfig, legal: list[Column], target: int, price: Callable[[Cost], Number]) -> Column:
    """Widths, a row each, of all networks within REACH of the uniform scaling that costs nearest to `target`."""
    factors = np.geomspace(1 / MOST_FACTOR, MOST_FACTOR, 1024)
    places = [_nearest(legal, factors * stage.width) for legal, stage in zip(legal, arch.stages, strict=True)]
    scaled = np.stack([legal[place] for legal, place in zip(legal, places, strict=True)], axis=1)
    nearest = int(np.argmin(abs(_prices(arch, scaled, price) - target)))
    choices = [
        legal[max(0, place[nearest] - REACH) : place[nearest] + REACH + 1]
        for legal, place in zip(legal, places, strict=True)
    ]
    # The variant's own widths are among them: they have its own shape.
    return np.array([*itertools.product(*choices), arch.column("width")])


def _nearest(legal: Column, wanted: Column) -> Column:
    """Places in `legal` of the widths nearest to the wanted ones."""
    above = np.searchsorted(legal, wanted).clip(1, len(legal) - 1)
    below = above - 1
    return np.where(wanted - legal[below] < legal[above] - wanted, below, above)


def _prices(arch: ArchConfig, widths: Column, price: Callable[[Cost], Number]) -> Column:
    """Cost of `arch` with each row of widths."""
    stages = tuple(StageColumns({**vars(stage), "width": widths[:, i]}) for i, stage in enumerate(arch.stages))
    around = {name: getattr(arch, name) for name in ("image_size", "stem_stride", "in_channels", "num_classes")}
    return np.asarray(price(estimate(ArchColumns(stages, **around))))


def _best(ratios: Column, departures: Column) -> int:
    """The row that scales most evenly of those within TOLERANCE, or that of the nearest cost; the first of equals."""
    unevenness = np.log(ratios).std(axis=1)
    distance = abs(departures)
    within = distance <= TOLERANCE
    order = np.lexsort((distance, unevenness)) if within.any() else np.argsort(distance, kind="stable")
    return int(next(row for row in order if within[row] or not within.any()))
