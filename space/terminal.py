"""A description in the terminal: facts, histograms of block characters, tables; no wider than the terminal."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from space.blocks import bar, columns
from space.colours import BASELINE, FEASIBLE, LIMIT, OTHER
from space.description import COSTS, CostWords, Description
from space.histogram import Histogram, histogram, number_of_steps
from space.sheets import Bar, Cell, Sheet, cost_sheet, dimension_sheet, effect_sheet, rule_sheet, variant_sheet

SIDE_BY_SIDE = 110
"""Characters from which on the two costs stand side by side."""
_HEIGHT = 7
_BAR = 8
_GAP = 4


def page(told: Description, width: int) -> Iterator[RenderableType]:
    """The parts of a description for a terminal of `width` characters, from the question to what changes nothing."""
    yield Text.assemble((told.space.name, "bold"), "\n", told.space.about)
    yield _facts(told)
    yield _table(dimension_sheet(told))
    if rules := rule_sheet(told):
        yield _table(rules)
    yield from _costs(told, width)
    lines = told.without_effect or ["none: every choice changes the network"]
    yield Text.assemble(("Choices without effect", "bold"), "\n", "\n".join(lines))


def _facts(told: Description) -> RenderableType:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold")
    facts.add_column()
    for word, text in told.facts:
        facts.add_row(word, Text(text))
    return facts


def _costs(told: Description, width: int) -> Iterator[RenderableType]:
    if not told.found.costs:
        yield Text("no legal network was found, so there is no cost to tell")
        return
    if variants := variant_sheet(told):
        yield _table(variants)
        return
    yield _table(cost_sheet(told))
    if width < SIDE_BY_SIDE:
        yield from (_histogram(told, words, width) for words in COSTS)
    else:
        grid = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
        grid.add_row(*(_histogram(told, words, (width - _GAP) // 2) for words in COSTS))
        yield grid
    yield from (_table(effect_sheet(told, words)) for words in COSTS)


def _table(sheet: Sheet) -> RenderableType:
    table = Table(
        title=sheet.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_edge=False,
        caption=sheet.note or None, caption_justify="left",
    )  # fmt: skip
    for head in sheet.heads:
        table.add_column(
            head.text,
            no_wrap=not head.wraps,
            overflow="fold",
            min_width=14 if head.wraps else None,
            justify="right" if head.is_number else "left",
        )
    for row in sheet.rows:
        table.add_row(*map(_cell, row))
    return table


def _cell(cell: Cell) -> Text:
    if isinstance(cell, Bar):
        return Text.assemble((bar(cell.share, _BAR), FEASIBLE), f" {cell.text:>6}")
    return Text(cell)


def _histogram(told: Description, words: CostWords, width: int) -> RenderableType:
    """Bars upwards with the baseline and the budget's limit below them."""
    limit = told.budget.limits.get(words.name)
    costs = told.found.costs[words.name].costs
    across = max(1, width // number_of_steps(len(costs), width))
    found = histogram(costs, width // across)
    width = len(found.counts) * across
    heights = np.repeat(found.counts / found.counts.max(), across).tolist()
    within = width if limit is None else across * int(np.searchsorted(found.edges[1:], limit, side="right"))
    title = Text.assemble((f"{words.label} ({words.unit})", "bold"), _scale(found))
    lines = [Text.assemble((line[:within], FEASIBLE), (line[within:], OTHER)) for line in columns(heights, _HEIGHT)]
    marks = [_mark(found, width, "▲", f"baseline {words.number(getattr(told.baseline, words.name))}",
                   getattr(told.baseline, words.name), BASELINE)]  # fmt: skip
    if limit is not None:
        marks.append(_mark(found, width, "▲", f"budget {limit:g}", limit, LIMIT))
    return Group(title, *lines, Text("─" * width, OTHER), _ticks(found, words, width), *marks)


def _scale(found: Histogram) -> str:
    return ", logarithmic" if found.is_log else ""


def _ticks(found: Histogram, words: CostWords, width: int) -> Text:
    low, high = words.short(float(found.edges[0])), words.short(float(found.edges[-1]))
    middle = words.short(float(found.edges[len(found.edges) // 2]))
    left = f"{low}{middle:>{width // 2 + len(middle) // 2 - len(low)}}"
    return Text(f"{left}{high:>{width - len(left)}}", OTHER)


def _mark(found: Histogram, width: int, sign: str, text: str, cost: float, colour: str) -> Text:
    """A line with a sign below a cost, and its text on the side where there is room."""
    place = found.place(cost)
    sign = sign if 0 <= place <= 1 else ("◀" if place < 0 else "▶")
    column = min(width - 1, max(0, int(place * width)))
    if column + 1 + len(text) < width:
        return Text(f"{' ' * column}{sign} {text}", colour)
    return Text(f"{text} {sign}".rjust(column + 1), colour)
