"""How variants were matched in cost with the baseline: by how much they were widened, and how near they came."""

from __future__ import annotations

import math

import pandas as pd

from analysis.metrics import COLUMNS
from db.records import ArchitectureRecord, StudyRecord
from space.match import TOLERANCE, width_factor
from transxnet.arch import ArchConfig

WIDTH_FACTOR = "width_factor"
"""Column: how many times wider than the base a variant is, all stages together; empty where none is matched."""


def matched_factor(study: StudyRecord, architecture: ArchitectureRecord) -> float:
    """How many times wider than the base matching made a variant; NaN in a study whose variants are not matched."""
    if study.space.get("match") is None:
        return math.nan
    base = ArchConfig.from_dict(study.space["base"])
    return width_factor(ArchConfig.from_dict(architecture.description), base)


def factor_text(factor: float) -> str:
    """Such as "x1.042"; an en dash if there is none."""
    return "–" if math.isnan(factor) else f"x{factor:.3f}"


def are_matched(frame: pd.DataFrame) -> bool:
    """Whether a variant frame is of variants that were matched."""
    return bool(frame[WIDTH_FACTOR].notna().any())


def matching_sentence(study: StudyRecord, frame: pd.DataFrame) -> str:
    """To what the variants of a frame were matched, by how much, and how near they came; empty if they were not."""
    if not are_matched(frame):
        return ""
    factors = frame[WIDTH_FACTOR]
    cost = COLUMNS[study.space["match"]]
    return (
        f"Variants are matched to the baseline's {cost.label} within {100 * TOLERANCE:g} % by width: from "
        f"x{factors.min():.2f} to x{factors.max():.2f}{_farthest(frame, cost.column)}"
        f"{_trained(frame, f'proxy_{cost.column}')}."
    )


def _trained(frame: pd.DataFrame, column: str) -> str:
    """How far the proxies, whose accuracy is compared, are from the baseline's."""
    departures = _departures(frame, column)
    if not departures:
        return ""
    return f"; the proxies that were trained are matched within {100 * max(map(abs, departures)):.1f} %"


def _farthest(frame: pd.DataFrame, column: str) -> str:
    departures = _departures(frame, column)
    return f"; farthest from the baseline {100 * max(departures, key=abs):+.1f} %" if departures else ""


def _departures(frame: pd.DataFrame, column: str) -> list[float]:
    """What each variant costs beyond the baseline, as a share of its cost; none where that is not known."""
    own = frame.loc[frame["is_baseline"], column].dropna().tolist()
    return [cost / own[0] - 1 for cost in frame[column].dropna().tolist()] if own else []
