"""The page's table of all variants: a cell a number, with the key that it sorts by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.front import front_of
from analysis.matched import WIDTH_FACTOR, are_matched, factor_text
from analysis.metrics import ACCURACY, COLUMNS, objectives_text
from analysis.noise import Verdict
from analysis.panel import shown_costs
from analysis.words import Row, accuracy_text, difference_text, number_text

MOST_ROWS = 500
"""A longer table would take a browser minutes to lay out, and nobody would read it."""
_CHIPS = {
    Verdict.BETTER.value: "better",
    Verdict.WORSE.value: "worse",
    Verdict.EQUAL.value: "equal",
    Verdict.INCONCLUSIVE.value: "open",
}


@dataclass(frozen=True)
class Head:
    """The head of a column."""

    text: str
    number: bool = False
    sorted: str = ""
    """Direction in which the rows come: ascending, descending or empty."""


@dataclass(frozen=True)
class Cell:
    """What a cell shows and sorts by; `chip` is the style of a verdict, `note` stands below."""

    text: str
    key: str
    number: bool = False
    chip: str = ""
    note: str = ""


@dataclass(frozen=True)
class TableRow:
    """A variant."""

    is_baseline: bool
    cells: Sequence[Cell]


def table_heads(frame: pd.DataFrame) -> list[Head]:
    """The heads of `table_rows`' cells."""
    return [
        Head("#", number=True, sorted="ascending"),
        Head("variant"),
        *([Head("width", number=True)] if are_matched(frame) else []),
        Head("accuracy (%)", number=True),
        Head("seeds", number=True),
        *(Head(COLUMNS[name].title, number=True) for name in shown_costs(frame)),
        Head("to baseline (points)", number=True),
        Head("verdict"),
        Head("on front"),
    ]


def table_rows(frame: pd.DataFrame, objectives: Sequence[str]) -> list[TableRow]:
    """A row a variant in the frame's order, numbered from 1; the front is that of the objectives.

    Of more than MOST_ROWS variants, so many of the most accurate, and the front and the baseline in any case.
    """
    mask, costs, matched = front_of(frame, objectives), shown_costs(frame), are_matched(frame)
    listed = mask | frame["is_baseline"] | (frame.index < MOST_ROWS)
    rows = zip(frame.index[listed], frame[listed].to_dict("records"), mask[listed], strict=True)
    return [
        TableRow(row["is_baseline"], _cells(place + 1, row, on_front, costs, matched)) for place, row, on_front in rows
    ]


def table_title(frame: pd.DataFrame) -> str:
    """What the table lists."""
    if len(frame) <= MOST_ROWS:
        return "All variants"
    return f"The {MOST_ROWS} most accurate of {len(frame):,} variants"


def table_note(frame: pd.DataFrame) -> str:
    """Where those are that the table leaves out; empty if it has all."""
    if len(frame) <= MOST_ROWS:
        return ""
    return f"The front and the baseline are listed in any case; variants.csv beside this page has all {len(frame):,}."


def front_title(objectives: Sequence[str]) -> str:
    """What the column `front` means."""
    return f"The front is that of {objectives_text(objectives)}."


def costs_note(frame: pd.DataFrame) -> str:
    """Of which network the costs are."""
    of_target = ["Multiply-adds", "parameters", *(["latency"] if "latency" in shown_costs(frame) else [])]
    listed = f"{', '.join(of_target[:-1])} and {of_target[-1]}"
    return f"{listed} are the target network's, training time is that of the proxy, which was trained."


def _cells(place: int, row: Row, on_front: bool, costs: Sequence[str], matched: bool) -> list[Cell]:
    chip = "baseline" if row["is_baseline"] else _CHIPS.get(row["verdict"], "")
    verdict = "baseline" if row["is_baseline"] else row["verdict"]
    return [
        _number(str(place), place),
        Cell(row["label"], row["label"], note=row["arch_id"]),
        *([_number(factor_text(row[WIDTH_FACTOR]), row[WIDTH_FACTOR])] if matched else []),
        _number(accuracy_text(row), row[ACCURACY.column]),
        _number(str(row["seeds"]), row["seeds"]),
        *(_number(number_text(COLUMNS[n], row[COLUMNS[n].column]), row[COLUMNS[n].column]) for n in costs),
        _number(difference_text(row), row["difference_points"]),
        Cell(verdict, verdict, chip=chip, note=row["verdict_note"]),
        Cell("yes" if on_front else "", "yes" if on_front else ""),
    ]


def _number(text: str, value: float) -> Cell:
    return Cell(text, "" if math.isnan(value) else repr(float(value)), number=True)
