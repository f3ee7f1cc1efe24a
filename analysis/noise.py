"""What seed noise allows to say: intervals of means and corrected verdicts against a baseline.

The method is the classical comparison of several means with one control under a common variance:

- the noise is the pooled standard deviation over variants, sqrt(sum((n_i - 1) s_i^2) / sum(n_i - 1));
- a mean of n seeds is known to within t(0.975, df) * noise / sqrt(n);
- a difference of means is known to within t(1 - 0.05 / (2 k), df) * noise * sqrt(1 / n_a + 1 / n_b), where
  Bonferroni's k is the number of variants compared with the baseline, so that the chance of even one false
  `better` or `worse` in the whole study is at most 5 %.

Sources: Dunnett, "A multiple comparison procedure for comparing several treatments with a control" (1955),
whose critical values Bonferroni's bound from above; Schuirmann (1987) for equivalence by an interval inside
a margin; Bouthillier et al., "Accounting for variance in machine learning benchmarks" (2021) for the need.

Seeds are not paired: one seed gives two networks different weights, so pairing would not remove noise.
All variants share one validation split; how far its size moves all accuracies together is not counted.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from scipy import special

CONFIDENCE = 0.95
MARGIN_POINTS = 0.5
"""Differences smaller than this, in percentage points, make no practical difference."""
MOST_SEEDS = 1000
"""No one will train a variant more often; a difference that needs more is left open."""


class Verdict(StrEnum):
    """What can be said of a variant's accuracy against the baseline's."""

    BETTER = "better"
    WORSE = "worse"
    EQUAL = "no practical difference"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class SeedNoise:
    """How far apart the same network lands with different seeds."""

    points: float
    """Pooled standard deviation in percentage points, above 0."""
    degrees_of_freedom: int


@dataclass(frozen=True)
class Comparison:
    """A variant against the baseline, in percentage points of accuracy."""

    difference: float
    half_width: float | None
    """Half the corrected 95 % interval of the difference; None if the noise is unknown."""
    verdict: Verdict
    more_seeds: int | None = None
    """Seeds to add to each variant until the verdict would be settled, were difference and noise to stay."""


def pooled_noise(deviations: Sequence[float], seeds: Sequence[int]) -> SeedNoise | None:
    """Noise from each variant's standard deviation (points, n - 1 in the denominator) and number of seeds.

    None if no variant has two seeds, or if all seeds agree to the last digit, which tells nothing of it.
    """
    pairs = [(s, n - 1) for s, n in zip(deviations, seeds, strict=True) if n > 1]
    freedom = sum(weight for _, weight in pairs)
    if not freedom:
        return None
    points = math.sqrt(sum(weight * s**2 for s, weight in pairs) / freedom)
    return SeedNoise(points, freedom) if points > 0 else None


def mean_half_width(noise: SeedNoise | None, seeds: int) -> float | None:
    """Half the 95 % interval of one variant's mean over `seeds` seeds, in points; None if unknown."""
    if noise is None or seeds < 1:
        return None
    return _t(noise.degrees_of_freedom, 1) * noise.points / math.sqrt(seeds)


def difference_half_width(noise: SeedNoise, seeds: tuple[int, int], comparisons: int) -> float:
    """Half the 95 % interval of a difference of two means, corrected for all comparisons, in points."""
    spread = noise.points * math.sqrt(1 / seeds[0] + 1 / seeds[1])
    return _t(noise.degrees_of_freedom, comparisons) * spread


def compare(
    difference: float,
    seeds: tuple[int, int],
    noise: SeedNoise | None,
    *,
    comparisons: int,
    margin: float = MARGIN_POINTS,
) -> Comparison:
    """The verdict on a difference of means (variant minus baseline, in points).

    `seeds` are the variant's and the baseline's; `comparisons` is how many variants the study compares.
    An interval inside +-margin is no practical difference, also where it leaves out 0.
    """
    if noise is None:
        return Comparison(difference, None, Verdict.INCONCLUSIVE)
    half_width = difference_half_width(noise, seeds, comparisons)
    verdict = _verdict(difference, half_width, margin)
    more = None
    if verdict is Verdict.INCONCLUSIVE:
        more = _more_seeds(difference, noise.points, min(seeds), comparisons, margin)
    return Comparison(difference, half_width, verdict, more)


def _verdict(difference: float, half_width: float, margin: float) -> Verdict:
    if abs(difference) + half_width <= margin:
        return Verdict.EQUAL
    if abs(difference) <= half_width:
        return Verdict.INCONCLUSIVE
    return Verdict.BETTER if difference > 0 else Verdict.WORSE


def _more_seeds(difference: float, points: float, seeds: int, comparisons: int, margin: float) -> int | None:
    """The least number to add to `seeds` so that either rule of `_verdict` holds; None beyond MOST_SEEDS."""
    threshold = max(abs(difference), margin - abs(difference))

    def settled(n: int) -> bool:
        return _half_width_after(n, points, comparisons) < threshold

    tried = range(2, MOST_SEEDS + 1)
    enough = bisect.bisect_left(tried, True, key=settled)
    return max(1, tried[enough] - seeds) if enough < len(tried) else None


@lru_cache(maxsize=2 * MOST_SEEDS)
def _half_width_after(seeds: int, points: float, comparisons: int) -> float:
    """Of a difference, once every variant has so many seeds."""
    after = SeedNoise(points, (comparisons + 1) * (seeds - 1))
    return difference_half_width(after, (seeds, seeds), comparisons)


@lru_cache(maxsize=2 * MOST_SEEDS)
def _t(degrees_of_freedom: int, comparisons: int) -> float:
    """Student's t at the confidence, corrected for the comparisons; scipy.stats would take a second to import."""
    return float(special.stdtrit(degrees_of_freedom, 1 - (1 - CONFIDENCE) / (2 * comparisons)))
