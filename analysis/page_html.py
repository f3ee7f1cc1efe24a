"""The report as one HTML page that needs nothing else, not even a network."""

from __future__ import annotations

from collections import Counter
from importlib import resources
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from analysis.curve_plot import curve_figure
from analysis.frame import HALF_WIDTH
from analysis.front_plot import front_figure
from analysis.labels import variant_labels
from analysis.page_settings import created_text, next_commands, setting_groups
from analysis.page_table import costs_note, front_title, table_heads, table_rows
from analysis.panel import make_panel, shown_costs
from analysis.results import Results
from analysis.words import objectives_text, summary
from db.records import TrialState

_COUNTED = (TrialState.COMPLETE, TrialState.RUNNING)


def report_html(results: Results, frame: pd.DataFrame) -> str:
    """The page on a study and its variant frame, everything that users wrote escaped.

    Without a complete trial the page says so and shows no plots.
    """
    study = results.study
    complete = bool((frame["seeds"] > 0).any())
    panels = {cost: make_panel(frame, cost) for cost in shown_costs(frame)} if complete else {}
    figures = {cost: front_figure(panel) for cost, panel in panels.items()}
    curves = curve_figure(results, frame)
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(_part("report.html"))
    return template.render(
        study=study,
        objectives=objectives_text(study.objectives).capitalize(),
        created=created_text(study),
        summary=summary(study, frame),
        complete=complete,
        intervals=bool(frame[HALF_WIDTH].notna().any()),
        panels=panels,
        heads=table_heads(frame),
        measured=costs_note(frame),
        rows=table_rows(frame, study.objectives),
        front_title=front_title(study.objectives),
        curves=complete and bool(curves["data"]),
        states=_states(results),
        ended=_ended(results),
        settings=setting_groups(results),
        commands=next_commands(results),
        figures={**figures, "curves": curves},
        # Our own and plotly's text: no user's word is in them.
        style=Markup(_part("report.css")),
        script=Markup(_part("report.js")),
        plotly=Markup(get_plotlyjs()) if complete else "",
    )


def _states(results: Results) -> str:
    counts = Counter(trial.state for trial in results.trials)
    told = [f"{counts[state]} {state.value.lower()}" for state in TrialState if counts[state]]
    return ", ".join(told) + "." if told else "No trial was started."


def _ended(results: Results) -> list[dict[str, Any]]:
    labels = variant_labels(results.study, results.trials)
    return [
        {
            "id": trial.id,
            "label": labels[trial.arch_id],
            "seed": trial.seed,
            "state": trial.state.value.lower(),
            "epochs": f"{trial.epochs_run} of {trial.epochs_planned}",
            "reason": trial.reason or "",
        }
        for trial in results.trials
        if trial.state not in _COUNTED
    ]


def _part(name: str) -> str:
    return (resources.files("analysis.page") / name).read_text(encoding="utf-8")
