"""The tables of a description: texts and bars, for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from space.axis import Axis
from space.description import COSTS, CostWords, Description, share_text
from space.dimension import Dimension, Vary
from space.effects import Effect
from space.match import width_factor
from space.one_field import STAGE_NAMES
from space.share import Share
from transxnet.arch import ArchConfig
from transxnet.cost import estimate, training_memory

MOST_EFFECTS = 10
"""Choices at most whose effect is told."""
LEAST_EFFECT = 0.005
"""Share of the variance below which the effect of a choice is not told."""


MOST_VARIANTS = 32
"""Variants at most that are listed one by one."""
BATCH = 128
"""Images a training step, for which memory is told."""


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


def variant_sheet(told: Description) -> Sheet | None:
    """Every variant with its costs and how far they are from the baseline's; None where there are many."""
    points, space = told.found.points, told.space
    if not told.found.is_whole or len(points) > MOST_VARIANTS:
        return None
    heads = [Head("variant", wraps=True)]
    heads += [Head(text, is_number=True) for text in ("GMACs", "to base", "params (M)", "to base", "GiB")]
    if space.match is not None:
        heads.append(Head("width", is_number=True))
    if told.budget.limits:
        heads.append(Head("budget"))
    rows = tuple(tuple(_variant_row(told, points.labels(row), points.arch(row))) for row in range(len(points)))
    note = f"GiB: about what training {BATCH} images at once takes, in float32 with AdamW"
    return Sheet(f"Variants, for an image of {told.image}", tuple(heads), rows, note)


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


def _variant_row(told: Description, labels: Mapping[str, str], arch: ArchConfig) -> Iterator[str]:
    base, cost = told.baseline, estimate(arch)
    own = told.space.baseline
    others = [(axis, label) for axis, label in labels.items() if len(labels) == 1 or label != own[axis]]
    yield ", ".join(label if len(labels) == 1 else f"{axis}={label}" for axis, label in others) or "baseline"
    for words in COSTS:
        value = getattr(cost, words.name)
        yield words.number(value)
        yield "baseline" if arch == told.space.base else f"{value / getattr(base, words.name) - 1:+.1%}"
    yield f"{training_memory(arch, BATCH).total_gib:.1f}"
    if told.space.match is not None:
        yield f"x{width_factor(arch, told.space.base):.3f}"
    if told.budget.limits:
        yield "over" if told.budget.refusal(cost) else "within"


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
