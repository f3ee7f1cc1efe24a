"""The columns of a variant frame that compare each variant with the baseline."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.metrics import ACCURACY
from analysis.noise import MOST_SEEDS, Comparison, SeedNoise, Verdict, compare

_NOTHING = {
    "difference_points": math.nan,
    "difference_ci95": math.nan,
    "verdict": "",
    "more_seeds": math.nan,
    "verdict_note": "",
}

_READ = ("is_baseline", "seeds", "trained_arch_id", ACCURACY.column)


@dataclass(frozen=True)
class _Trained:
    """What a comparison needs of a variant."""

    is_baseline: bool
    seeds: int
    trained_arch_id: str
    accuracy: float

    @property
    def is_rival(self) -> bool:
        return bool(self.seeds) and not self.is_baseline


def verdict_columns(frame: pd.DataFrame, noise: SeedNoise | None, margin: float) -> pd.DataFrame:
    """A row for each of the frame's, with the columns difference_points, difference_ci95, verdict, more_seeds
    and verdict_note; empty for the baseline itself and where there is nothing to compare.
    """
    rows = [_Trained(*row) for row in zip(*(frame[name].tolist() for name in _READ), strict=True)]
    baseline = next((row for row in rows if row.is_baseline and row.seeds), None)
    if baseline is None:
        verdicts = [tuple(_NOTHING.values())] * len(rows)
    else:
        comparisons = sum(row.is_rival and row.trained_arch_id != baseline.trained_arch_id for row in rows)
        verdicts = [_against(row, baseline, noise, comparisons, margin) for row in rows]
    return pd.DataFrame(verdicts, columns=list(_NOTHING), index=frame.index)


def _against(
    row: _Trained, baseline: _Trained, noise: SeedNoise | None, comparisons: int, margin: float
) -> tuple[Any, ...]:
    if not row.is_rival:
        return tuple(_NOTHING.values())
    difference = row.accuracy - baseline.accuracy
    if row.trained_arch_id == baseline.trained_arch_id:
        same = Comparison(difference, None, Verdict.INCONCLUSIVE)
        return _values(same, "equals the baseline at the proxy's size")
    comparison = compare(difference, (row.seeds, baseline.seeds), noise, comparisons=comparisons, margin=margin)
    return _values(comparison, _note(comparison))


def _values(comparison: Comparison, note: str) -> tuple[Any, ...]:
    """In the order of _NOTHING."""
    return (
        comparison.difference,
        math.nan if comparison.half_width is None else comparison.half_width,
        comparison.verdict.value,
        math.nan if comparison.more_seeds is None else comparison.more_seeds,
        note,
    )


def _note(comparison: Comparison) -> str:
    if comparison.verdict is not Verdict.INCONCLUSIVE:
        return ""
    if comparison.half_width is None:
        return "needs a second seed"
    if comparison.more_seeds is None:
        return f"needs more than {MOST_SEEDS} seeds"
    return f"needs {comparison.more_seeds} more seed{'s' * (comparison.more_seeds > 1)}"
