"""What is true of a study, in sentences and short texts: the same words on the terminal and on the page."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.frame import HALF_WIDTH, seed_noise
from analysis.front import best, front_of
from analysis.matched import matching_sentence
from analysis.metrics import ACCURACY, Metric, objectives_text
from analysis.noise import Verdict, difference_half_width
from analysis.proxy_costs import proxy_sentence
from db.records import StudyRecord, TrialState

Row = Mapping[Hashable, Any]
_MOST_NAMES, _MOST_LETTERS = 6, 400
"""Of the variants that a sentence names; where names are longer, their places in the table stand for them."""
_MOST_PLACES = 20


def number_text(entry: Metric, value: float) -> str:
    """The number with the metric's decimals, an en dash if there is none."""
    return "–" if math.isnan(value) else f"{value:.{entry.digits}f}"


def accuracy_text(row: Row) -> str:
    """Mean accuracy in percent with its 95 % interval, such as "71.20 ± 0.43"."""
    return number_text(ACCURACY, row[ACCURACY.column]) + _interval(row[HALF_WIDTH])


def difference_text(row: Row) -> str:
    """Points above or below the baseline with the corrected interval; empty where nothing is compared."""
    if not row["verdict"]:
        return ""
    return f"{row['difference_points']:+.2f}{_interval(row['difference_ci95'])}"


def verdict_text(row: Row) -> str:
    """The verdict with what would settle it; "baseline" for the baseline, empty where nothing is compared."""
    if row["is_baseline"]:
        return "baseline"
    return f"{row['verdict']} ({row['verdict_note']})" if row["verdict_note"] else str(row["verdict"])


def noise_sentence(frame: pd.DataFrame) -> str:
    """How small a difference between variants can be seen at all."""
    noise = seed_noise(frame)
    seeds = frame.loc[frame["seeds"] > 0, "seeds"].tolist()
    if not seeds:
        return "No trial is complete, so nothing is known of the noise between seeds."
    if noise is None and max(seeds) > 1:
        return "All seeds gave the same accuracy, so the noise between seeds cannot be told from it."
    if noise is None:
        return (
            "Each variant ran with one seed, so the noise between seeds is unknown: "
            "no difference here can be told from chance. Add seeds (seeds=3)."
        )
    least, comparisons = min(seeds), max(1, int((frame["verdict"] != "").sum()))
    seen = difference_half_width(noise, (least, least), comparisons)
    return (
        f"With seed noise of {noise.points:.2f} points over {_plural(least, 'seed')}, "
        f"only differences of at least {seen:.1f} points can be seen."
    )


def summary(study: StudyRecord, frame: pd.DataFrame) -> list[str]:
    """The sentences at the head of the page: what ran, what leads, what is settled, how noisy it is."""
    if not (frame["seeds"] > 0).any():
        return [
            f"No trial of this study is complete: {_states(frame)}. "
            "There is no accuracy to compare yet; run the same sweep again to go on with it."
        ]
    caution, costs = study.data.get("caution"), matching_sentence(study, frame) or proxy_sentence(frame)
    return [
        _what_ran(study, frame),
        *([costs] if costs else []),
        _what_leads(frame),
        _what_is_settled(frame),
        noise_sentence(frame),
        _front_sentence(study, frame),
        *([f"Caution: {caution}"] if caution else []),
    ]


def _what_ran(study: StudyRecord, frame: pd.DataFrame) -> str:
    done = frame[frame["seeds"] > 0]
    seeds = sorted({int(count) for count in done["seeds"]})
    spread = _plural(seeds[0], "seed") if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds"
    space = study.space.get("name", "its space")
    return f"{_plural(len(done), 'variant')} of {space} with {spread} each; trials: {_states(frame)}."


def _what_leads(frame: pd.DataFrame) -> str:
    top: Row = frame.loc[[best(frame)]].to_dict("records")[0]
    base = frame[frame["is_baseline"] & (frame["seeds"] > 0)].to_dict("records")
    lead = f"Highest mean accuracy: {top['label']} with {accuracy_text(top)} %"
    if not base:
        return f"{lead}. The baseline has no complete trial, so nothing is compared with it."
    if top["is_baseline"]:
        return f"{lead}."
    proof = "" if top["verdict"] == Verdict.BETTER else "; its lead is not established"
    return f"{lead}; the baseline {base[0]['label']} has {accuracy_text(base[0])} %{proof}."


def _what_is_settled(frame: pd.DataFrame) -> str:
    counts = frame["verdict"].value_counts()
    found = [f"{counts[verdict]:,} {verdict}" for verdict in Verdict if verdict in counts]
    if not found:
        return "There is no comparison with the baseline."
    return f"Against the baseline: {', '.join(found)} (95 % confidence over all comparisons together)."


def _front_sentence(study: StudyRecord, frame: pd.DataFrame) -> str:
    mask = front_of(frame, study.objectives)
    names = _some(frame.loc[mask, "label"].tolist(), _MOST_NAMES, "; ")
    if len(names) > _MOST_LETTERS:
        places = [str(place + 1) for place in frame.index[mask]]
        names = f"{_plural(len(places), 'variant')}, in the table {_some(places, _MOST_PLACES, ', ')}"
    return f"On the front of {objectives_text(study.objectives)}, by mean: {names}."


def _some(names: Sequence[str], most: int, separator: str) -> str:
    """The first of the names, and how many more there are."""
    return separator.join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _states(frame: pd.DataFrame) -> str:
    counts = {state: int(frame[state.value.lower()].sum()) for state in TrialState}
    found = [f"{count:,} {state.value.lower()}" for state, count in counts.items() if count]
    return ", ".join(found) or "none was started"


def _interval(half_width: float) -> str:
    return "" if math.isnan(half_width) else f" ± {half_width:.2f}"


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"
