"""The training curves as plotly.js draws them: accuracy by epoch, a line a variant."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import pandas as pd

from analysis.front import front_of
from analysis.metrics import ACCURACY
from analysis.panel import BASELINE_COLOUR, OTHER_COLOUR
from analysis.plotly_layout import Figure, layout
from analysis.results import Results
from db.records import TrialRecord, TrialState

MOST_NAMED = 10
MOST_CURVES = 100
"""Of variants, and of stopped trials; more would be one grey patch."""
_LINES = (
    "#2a78d6", "#1b9e77", "#d1495b", "#7b5ea7", "#a6761d", "#17a2b8", "#e377c2", "#66801a",
    "#5d6d7e", "#c44e00",
)  # fmt: skip


FEW_EPOCHS = 12


def curve_figure(results: Results, frame: pd.DataFrame) -> Figure:
    """Validation accuracy by epoch: a line a variant (mean over its complete trials), dotted if stopped.

    With many variants, the front and the baseline are coloured and the others grey.
    """
    colours = _colours(results, frame)
    curves = _mean_curves(results)
    # Grey lines first, so that the coloured lie above.
    rows = sorted(_drawn_variants(results, frame).to_dict("records"), key=lambda row: row["arch_id"] in colours)
    traces = [
        _curve(row["label"], curves[row["arch_id"]], colours.get(row["arch_id"]), baseline=row["is_baseline"])
        for row in rows
        if curves.get(row["arch_id"])
    ]
    shown = {**layout("epoch", ACCURACY.title), "showlegend": True}
    if max((max(points) for points in curves.values()), default=0) <= FEW_EPOCHS:
        shown["xaxis"] = {**shown["xaxis"], "dtick": 1}  # whole epochs, also where there is room for halves
    return {"data": [*_stopped_curves(results, frame), *traces], "layout": shown}


def drawn_trials(results: Results, frame: pd.DataFrame) -> list[int]:
    """Ids of the trials whose epochs `curve_figure` draws: of many variants and stopped trials some of each."""
    drawn = set(_drawn_variants(results, frame)["arch_id"])
    complete = [trial for trial in results.trials if trial.state is TrialState.COMPLETE and trial.arch_id in drawn]
    return [trial.id for trial in [*complete, *_drawn_stopped(results)] if trial.id is not None]


def curves_note(results: Results, frame: pd.DataFrame) -> str:
    """Which curves are drawn where not all are; empty if all are."""
    done, stopped = int((frame["seeds"] > 0).sum()), sum(trial.state is TrialState.STOPPED for trial in results.trials)
    parts = [
        f"{min(count, MOST_CURVES)} of {count:,} {what}"
        for count, what in ((done, "variants, evenly over their ranks"), (stopped, "stopped trials"))
        if count > MOST_CURVES
    ]
    return f"Drawn are {' and '.join(parts)}, and those that the legend names." if parts else ""


def _colours(results: Results, frame: pd.DataFrame) -> dict[str, str]:
    """Of the variants that the legend names, by arch_id."""
    done = frame[frame["seeds"] > 0]
    named = done if len(done) <= MOST_NAMED else done[front_of(done, results.study.objectives)]
    named = named[~named["is_baseline"]].head(MOST_NAMED)
    return dict(zip(named["arch_id"], _LINES, strict=False)) | {results.study.baseline_arch_id: BASELINE_COLOUR}


def _drawn_variants(results: Results, frame: pd.DataFrame) -> pd.DataFrame:
    done = frame[frame["seeds"] > 0]
    if len(done) <= MOST_CURVES:
        return done
    return done[done["arch_id"].isin(_colours(results, frame)) | done.index.isin(done.index[_evenly(len(done))])]


def _drawn_stopped(results: Results) -> list[TrialRecord]:
    stopped = [trial for trial in results.trials if trial.state is TrialState.STOPPED]
    return stopped if len(stopped) <= MOST_CURVES else [stopped[place] for place in _evenly(len(stopped))]


def _evenly(count: int) -> list[int]:
    """Places of MOST_CURVES among so many, from the first to the last."""
    return [place * (count - 1) // (MOST_CURVES - 1) for place in range(MOST_CURVES)]


def _mean_curves(results: Results) -> dict[str, dict[int, float]]:
    """By variant: epoch -> mean accuracy in percent over the complete trials."""
    owner = {trial.id: trial.arch_id for trial in results.trials if trial.state is TrialState.COMPLETE}
    sums: dict[str, dict[int, list[float]]] = {}
    for epoch in results.epochs:
        if epoch.trial_id in owner:
            by_epoch = sums.setdefault(owner[epoch.trial_id], {})
            by_epoch.setdefault(epoch.epoch, []).append(ACCURACY.transform(epoch.val_accuracy))
    return {
        arch_id: {epoch: sum(values) / len(values) for epoch, values in sorted(by_epoch.items())}
        for arch_id, by_epoch in sums.items()
    }


def _stopped_curves(results: Results, frame: pd.DataFrame) -> Iterable[Figure]:
    labels = dict(zip(frame["arch_id"].tolist(), frame["label"].tolist(), strict=True))
    stopped = {trial.id: trial for trial in results.trials if trial.state is TrialState.STOPPED}
    curves: dict[int, dict[int, float]] = {}
    for epoch in sorted(results.epochs, key=lambda epoch: epoch.epoch):
        if epoch.trial_id in stopped:
            curves.setdefault(epoch.trial_id, {})[epoch.epoch] = ACCURACY.transform(epoch.val_accuracy)
    for trial_id, curve in curves.items():
        trial = stopped[trial_id]
        line = _curve(f"{labels[trial.arch_id]}, seed {trial.seed}, stopped", curve, None)
        yield {**line, "line": {"color": OTHER_COLOUR, "width": 1, "dash": "dot"}}


def _curve(label: str, points: dict[int, float], colour: str | None, *, baseline: bool = False) -> Figure:
    text = escape(label)
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(points) == 1 else "lines",
        "name": text,
        "x": list(points),
        "y": list(points.values()),
        "showlegend": colour is not None,
        "opacity": 1 if colour else 0.45,
        "line": {"color": colour or OTHER_COLOUR, "width": 3.5 if baseline else 2 if colour else 1},
        "hovertemplate": f"{text}<br>epoch %{{x}}: %{{y:.2f}} %<extra></extra>",
    }
