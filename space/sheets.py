"""The tables of a description: texts and bars, for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from space.axis import Axis
from space.description import COSTS, CostWords, Description, share_text
from space.dimension import Dimension, Vary
from space.effects import Effect
from space.one_field import STAGE_NAMES
from space.share import Share

MOST_EFFECTS = 10
"""Choices at most whose effect is told."""
LEAST_EFFECT = 0.005
"""Share of the variance below which the effect of a choice is not told."""


@dataclass(frozen=True)
class Bar:
    """A share, drawn as a bar beside its text."""

    share: float
    text: str


Cell: TypeAlias = str | Bar


@dataclass(frozen=True)
class Head:
    """A column of a table."""

    text: str
    is_number: bool = False
    wraps: bool = False
    """Whether its texts may be broken."""


@dataclass(frozen=True)
class Sheet:
    """A table."""

    title: str
    heads: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


def cost_sheet(told: Description) -> Sheet:
    """How the costs of the points are spread."""
    numbers = ("min", "5 %", "median", "95 %", "max", "baseline")
    rows = []
    for words in COSTS:
        spread = told.found.costs[words.name].spread
        values = (*vars(spread).values(), getattr(told.baseline, words.name))
        rows.append((f"{words.label} ({words.unit})", *map(words.number, values)))
    return Sheet(
        f"Cost of {told.looked_at}, for an image of {told.image}",
        (Head(""), *(Head(number, is_number=True) for number in numbers)),
        tuple(rows),
    )


def effect_sheet(told: Description, words: CostWords) -> Sheet:
    """Which choices move a cost most."""
    all_effects = told.found.costs[words.name].effects
    shown = shown_effects(all_effects)
    rest = all_effects[len(shown) :]
    note = f"others: {len(rest)}, none of more than {rest[0].explained:.1%} of the variance" if rest else ""
    return Sheet(
        f"What moves {words.label}",
        (Head("choice of"), Head("from, to", wraps=True), Head("from the mean", is_number=True), Head("variance")),
        tuple(_effect_row(effect) for effect in shown),
        note,
    )


def shown_effects(effects: tuple[Effect, ...]) -> tuple[Effect, ...]:
    """Those of a cost's effects that are told."""
    return tuple(effect for effect in effects[:MOST_EFFECTS] if effect.explained >= LEAST_EFFECT)


def rule_sheet(told: Description) -> Sheet | None:
    """How much of the space each rule leaves, stage by stage; None if none takes anything."""
    places = (*range(len(STAGE_NAMES)), None)
    shares = {(demand.name, demand.stage): demand.share for demand in told.found.demands}
    names = dict.fromkeys(name for name, _ in shares)
    rows = [(name, *(_share_cell(shares.get((name, place))) for place in places)) for name in names]
    heads = (Head("rule"), *(Head(text, is_number=True) for text in (*STAGE_NAMES, "network")))
    note = "a rule that is not here never fails in this space; nor does one in a stage without a number"
    return Sheet("Share of all points that keeps each rule, exactly", heads, tuple(rows), note) if rows else None


def dimension_sheet(told: Description) -> Sheet:
    """What varies, how, and what may be chosen."""
    heads = (Head("choice of"), Head("varies"), Head("baseline"), Head("choices", wraps=True))
    rows = tuple(row for dimension in told.space.dimensions for row in _dimension_rows(told, dimension))
    return Sheet("Dimensions", heads, rows)


def _effect_row(effect: Effect) -> tuple[Cell, ...]:
    return (
        effect.axis,
        f"{effect.cheapest} → {effect.dearest}",
        f"{effect.lowest:+.1%} to {effect.highest:+.1%}",
        Bar(effect.explained, f"{effect.explained:.1%}"),
    )


def _share_cell(share: float | None) -> str:
    return "" if share is None else share_text(Share.exactly(share))


_VARIES = {
    Vary.STAGE: "each stage alone",
    Vary.TIED: "one value for all",
    Vary.TUPLE: "one or four values",
    Vary.TOGETHER: "fields together",
}


def _dimension_rows(told: Description, dimension: Dimension) -> Iterator[tuple[str, ...]]:
    """A row for each axis; one for all four where the stages have the same choices."""
    field = f" ({dimension.field})" if dimension.field not in ("", dimension.name) else ""
    varies, axes = _VARIES[dimension.vary], dimension.axes
    own = [told.space.baseline[axis.name] for axis in axes]
    if len(axes) > 1 and len({axis.labels for axis in axes}) == 1:
        baseline = own[0] if len(set(own)) == 1 else ", ".join(own)
        yield dimension.name + field, varies, baseline, _choices(axes[0])
        return
    for axis, label in zip(axes, own, strict=True):
        yield axis.name + field, varies, label, _choices(axis)


def _choices(axis: Axis) -> str:
    return ", ".join(axis.labels)
