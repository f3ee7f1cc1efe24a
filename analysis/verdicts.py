"""The columns of a variant frame that compare each variant with the baseline."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
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

Row = Mapping[Hashable, Any]


def verdict_columns(frame: pd.DataFrame, noise: SeedNoise | None, margin: float) -> pd.DataFrame:
    """A row for each of the frame's, with the columns difference_points, difference_ci95, verdict, more_seeds
    and verdict_note; empty for the baseline itself and where there is nothing to compare.
    """
    rows: list[dict[Hashable, Any]] = frame.to_dict("records")
    baseline = next((row for row in rows if row["is_baseline"] and row["seeds"]), None)
    if baseline is None:
        verdicts = [_NOTHING for _ in rows]
    else:
        comparisons = sum(_is_rival(row) and not _same_trained(row, baseline) for row in rows)
        verdicts = [_against(row, baseline, noise, comparisons, margin) for row in rows]
    return pd.DataFrame(verdicts, columns=list(_NOTHING), index=frame.index)


def _is_rival(row: Row) -> bool:
    return bool(row["seeds"]) and not row["is_baseline"]


def _same_trained(row: Row, baseline: Row) -> bool:
    return bool(row["trained_arch_id"] == baseline["trained_arch_id"])


def _against(row: Row, baseline: Row, noise: SeedNoise | None, comparisons: int, margin: float) -> dict[str, Any]:
    if not _is_rival(row):
        return _NOTHING
    difference = row[ACCURACY.column] - baseline[ACCURACY.column]
    if _same_trained(row, baseline):
        same = Comparison(difference, None, Verdict.INCONCLUSIVE)
        return _columns(same, "equals the baseline at the proxy's size")
    seeds = (row["seeds"], baseline["seeds"])
    comparison = compare(difference, seeds, noise, comparisons=comparisons, margin=margin)
    return _columns(comparison, _note(comparison))


def _columns(comparison: Comparison, note: str) -> dict[str, Any]:
    values = (
        comparison.difference,
        math.nan if comparison.half_width is None else comparison.half_width,
        comparison.verdict.value,
        math.nan if comparison.more_seeds is None else comparison.more_seeds,
        note,
    )
    return dict(zip(_NOTHING, values, strict=True))


def _note(comparison: Comparison) -> str:
    if comparison.verdict is not Verdict.INCONCLUSIVE:
        return ""
    if comparison.half_width is None:
        return "needs a second seed"
    if comparison.more_seeds is None:
        return f"needs more than {MOST_SEEDS} seeds"
    return f"needs {comparison.more_seeds} more seed{'s' * (comparison.more_seeds > 1)}"
