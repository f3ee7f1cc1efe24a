"""The report as one HTML page that needs nothing else, not even a network."""

from __future__ import annotations

from collections import Counter
from importlib import resources

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from analysis.curve_plot import curve_figure, curves_note
from analysis.ended import ended_trials
from analysis.frame import HALF_WIDTH
from analysis.front_plot import front_figure
from analysis.metrics import objectives_text
from analysis.page_settings import created_text, next_commands, setting_groups
from analysis.page_table import costs_note, front_title, table_heads, table_note, table_rows, table_title
from analysis.panel import make_panel, shown_costs
from analysis.results import Results
from analysis.words import summary
from db.records import TrialState


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
        table_title=table_title(frame),
        table_note=table_note(frame),
        front_title=front_title(study.objectives),
        curves=complete and bool(curves["data"]),
        curves_note=curves_note(results, frame),
        shaded=any(panel.shaded is not None for panel in panels.values()),
        states=_states(results),
        ended=ended_trials(results, frame),
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
    told = [f"{counts[state]:,} {state.value.lower()}" for state in TrialState if counts[state]]
    return ", ".join(told) + "." if told else "No trial was started."


def _part(name: str) -> str:
    return (resources.files("analysis.page") / name).read_text(encoding="utf-8")
