"""Studies as tables for the terminal: a row a study, or one study in full."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from analysis.metrics import ACCURACY, objectives_text
from db import Ending, StudySummary, TrialState

_UNITS = ((86_400, "days"), (3_600, "h"), (60, "min"))


def studies_table(summaries: Sequence[StudySummary]) -> Table:
    """A row a study, the oldest first."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("study\nspace, data, proxy", overflow="fold", min_width=16)
    table.add_column("trials", justify="right", no_wrap=True)
    table.add_column("variants\nseeds", justify="right")
    table.add_column("best\n(%)", justify="right", no_wrap=True)
    table.add_column("epochs\ntrained in", justify="right", no_wrap=True)
    table.add_column("started\nlast result", no_wrap=True)
    for summary in summaries:
        # Text, not str: a name's square brackets are no markup.
        table.add_row(*(Text("\n".join(lines)) for lines in _cells(summary)), end_section=True)
    return table


def study_table(summary: StudySummary) -> Table:
    """All that is told of one study, a line each."""
    table = Table(title=Text(summary.study.name), box=box.SIMPLE_HEAD, show_header=False, padding=(0, 1, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in _lines(summary).items():
        table.add_row(name, Text(text))
    return table


def endings_table(endings: Sequence[Ending]) -> Table:
    """Why trials ended without a result, the most frequent first."""
    table = Table(title="Trials without a result", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("trials", justify="right")
    table.add_column("state", no_wrap=True)
    table.add_column("reason", overflow="fold")
    for ending in endings:
        table.add_row(f"{ending.count:,}", ending.state.value.lower(), Text(ending.reason))
    return table


def duration_text(seconds: float) -> str:
    """In the largest unit of which there are two."""
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.0f} s"


def _cells(summary: StudySummary) -> Iterable[Sequence[str]]:
    study = summary.study
    where = f"{study.space.get('name', 'a space')}, {study.data.get('name', 'data')}"
    yield study.name, where, _proxy_text(study.fidelity)
    yield _states(summary) or ["none"]
    yield f"{summary.variants:,}", f"{summary.seeds:,}"
    yield (_best(summary),)
    yield f"{summary.epochs:,}", duration_text(summary.train_seconds)
    yield _time_text(summary.started_at)[:10], _time_text(summary.last_result_at)[:10]


def _lines(summary: StudySummary) -> Mapping[str, str]:
    study = summary.study
    return {
        "space": str(study.space.get("name", "")),
        "data": str(study.data.get("name", "")),
        "proxy": _proxy_text(study.fidelity),
        "objectives": objectives_text(study.objectives),
        "command": study.command,
        "baseline": study.baseline_arch_id,
        "trials": ", ".join(_states(summary)) or "none",
        "taken over": f"{summary.reused:,} trials have the result of an earlier one",
        "variants": f"{summary.variants:,}",
        "seeds": f"{summary.seeds:,}",
        "best accuracy": f"{_best(summary)} %, of one trial" if summary.best_accuracy is not None else "none yet",
        "epochs": f"{summary.epochs:,}, trained in {duration_text(summary.train_seconds)}",
        "created": _time_text(study.created_at),
        "started": _time_text(summary.started_at),
        "last result": _time_text(summary.last_result_at),
    }


def _states(summary: StudySummary) -> list[str]:
    counts = ((state, summary.states.get(state, 0)) for state in TrialState)
    return [f"{count:,} {state.value.lower()}" for state, count in counts if count]


def _best(summary: StudySummary) -> str:
    return "–" if summary.best_accuracy is None else f"{100 * summary.best_accuracy:.{ACCURACY.digits}f}"


def _proxy_text(fidelity: Mapping[str, Any]) -> str:
    """Such as "32 px, width x0.167, depth x0.2, data x0.2, 5 epochs"; what is not scaled is left out."""
    scaled = [
        f"{word} x{fidelity[key]:g}"
        for word, key in (("width", "width_scale"), ("depth", "depth_scale"), ("data", "data_share"))
        if fidelity.get(key, 1) != 1
    ]
    return ", ".join([f"{fidelity.get('image_size', '?')} px", *scaled, f"{fidelity.get('epochs', '?')} epochs"])


def _time_text(moment: datetime | None) -> str:
    return "–" if moment is None else moment.strftime("%Y-%m-%d %H:%M")
