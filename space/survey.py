"""What a space holds: how much of it is legal, and what its networks cost. Nothing is trained or built."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from space.space import IllegalVariant, Labels, Space
from transxnet.cost import Cost, estimate

ENUMERATED_UP_TO = 20_000
"""Points of the largest space that is looked at whole."""


@dataclass(frozen=True)
class Spread:
    """How a number is spread over networks: its least and greatest value, and quantiles."""

    least: float
    low: float
    """A twentieth of the networks is below."""
    middle: float
    """The median."""
    high: float
    """A twentieth of the networks is above."""
    greatest: float


@dataclass(frozen=True)
class Survey:
    """What was found in the points that were looked at."""

    is_whole: bool
    """Whether every point was looked at; otherwise points were drawn uniformly at random."""
    examined: int
    """Points that were looked at."""
    legal: int
    """How many of them can be built and keep the rules."""
    distinct: int
    """How many different networks they build."""
    params_m: Spread | None
    """Of the legal points, in 10^6; None if there is none."""
    gmacs: Spread | None
    """Multiply-adds of the legal points by fvcore's convention, in 10^9, at each network's own image size."""
    never_legal: tuple[tuple[str, str], ...]
    """Axis and label of each choice that no legal point makes."""

    @property
    def legal_share(self) -> float:
        """Share of the examined points that is legal, 0 to 1."""
        return self.legal / self.examined

    @property
    def legal_share_interval(self) -> tuple[float, float]:
        """Where the whole space's legal share lies, at 95 % confidence (Wilson); one point if is_whole."""
        if self.is_whole:
            return self.legal_share, self.legal_share
        return _wilson(self.legal, self.examined)


def survey(space: Space, samples: int = 5000, seed: int = 0) -> Survey:
    """Look at every point of a space of up to 20,000, and at `samples` random ones of a larger space.

    Equal seeds give equal surveys. Raises ValueError if `samples` is not above 0.
    """
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}; write for example 5000")
    is_whole = space.size <= ENUMERATED_UP_TO
    rng = np.random.default_rng(seed)
    points: Iterable[Labels] = space.points() if is_whole else (space.sample(rng) for _ in range(samples))
    costs: list[Cost] = []
    ids: set[str] = set()
    made: set[tuple[str, str]] = set()
    for labels in points:
        try:
            arch = space.build(labels)
        except IllegalVariant:
            continue
        costs.append(estimate(arch))
        ids.add(arch.id)
        made.update(labels.items())
    return Survey(
        is_whole=is_whole,
        examined=space.size if is_whole else samples,
        legal=len(costs),
        distinct=len(ids),
        params_m=_spread([cost.params_m for cost in costs]),
        gmacs=_spread([cost.gmacs for cost in costs]),
        never_legal=tuple(
            (axis.name, label) for axis in space.axes for label in axis.labels if (axis.name, label) not in made
        ),
    )


def _spread(values: Sequence[float]) -> Spread | None:
    if not values:
        return None
    return Spread(*(float(value) for value in np.quantile(values, [0, 0.05, 0.5, 0.95, 1])))


def _wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval for a share: sound for shares near 0 and 1, where the normal one is not."""
    share, shrink = successes / trials, 1 + z**2 / trials
    middle = (share + z**2 / (2 * trials)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return max(0.0, middle - half), min(1.0, middle + half)
