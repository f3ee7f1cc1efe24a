"""The front as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from rich import box
from rich.table import Table
from rich.text import Text

from analysis.front import front_of
from analysis.metrics import COLUMNS, metric, objectives_text
from analysis.noise import Verdict
from analysis.panel import shown_costs
from analysis.words import (
    Row,
    accuracy_text,
    difference_text,
    noise_sentence,
    number_text,
    verdict_text,
)

DEFAULT_OBJECTIVES = ("accuracy", "gmacs")

_STYLES = {Verdict.BETTER: "green", Verdict.WORSE: "red", Verdict.EQUAL: "cyan", Verdict.INCONCLUSIVE: "dim"}
_HEADS = {"gmacs": "GMACs", "params": "params\n(M)", "train_time": "train\n(s)", "latency": "latency\n(ms)"}

_ROOM = 3
"""Costs that stand beside a verdict on a terminal of 80 columns."""


def front_table(frame: pd.DataFrame, objectives: Sequence[str] = DEFAULT_OBJECTIVES) -> Table:
    """The variants on the front and the baseline, the most accurate first; below, what noise allows to say.

    `frame` is a variant frame, `objectives` are names of metrics; raises ValueError for an unknown one.
    """
    mask, costs = front_of(frame, objectives), _costs(frame, objectives)
    table = Table(
        title=f"Front of {objectives_text(objectives)}: {int(mask.sum())} of {len(frame):,} variants",
        caption=noise_sentence(frame),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("variant", overflow="fold", min_width=13)
    table.add_column("accuracy\n(%)", justify="right", no_wrap=True)
    for head in ("seeds", *(_HEADS[name] for name in costs)):
        table.add_column(head, justify="right")
    table.add_column("to baseline\n(points)", overflow="fold", min_width=14)
    told = mask | frame["is_baseline"]
    for row, on_front in zip(frame[told].to_dict("records"), mask[told], strict=True):
        style = "bold" if row["is_baseline"] else None
        table.add_row(*_cells(row, on_front, costs), style=style)
    return table


def _costs(frame: pd.DataFrame, objectives: Sequence[str]) -> list[str]:
    """The objectives' costs, and others as far as 80 columns have room."""
    known = shown_costs(frame)
    weighed = [name for name in known if COLUMNS[name] in map(metric, objectives)]
    others = [name for name in known if name not in weighed]
    kept = [*weighed, *others[: max(_ROOM - len(weighed), 0)]]
    return [name for name in known if name in kept]


def _cells(row: Row, on_front: bool, costs: Sequence[str]) -> list[Text]:
    texts = [
        row["label"] + ("" if on_front else ", not on the front"),
        accuracy_text(row),
        str(row["seeds"]),
        *(number_text(COLUMNS[name], row[COLUMNS[name].column]) for name in costs),
    ]
    verdict = f"{difference_text(row)} {verdict_text(row)}".strip()
    # Text, not str: a label's square brackets are no markup.
    return [*(Text(text) for text in texts), Text(verdict, style=_STYLES.get(row["verdict"], ""))]
