"""Prints what a space holds: python -m space.describe space=NAME."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import hydra
from omegaconf import DictConfig
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from space.cli import run_entry_point, to_typed
from space.dimension import Vary
from space.match import MATCHES, TOLERANCE, with_match
from space.rules import RULES
from space.space import Space
from space.survey import Spread, Survey, survey
from transxnet.arch import ArchConfig
from transxnet.cost import estimate


@dataclass(frozen=True)
class DescribeConfig:
    """What the command line gives."""

    space: Mapping[str, Any]
    samples: int
    seed: int
    match: str | None = None
    """A cost that all variants are given by their widths, a key of MATCHES."""


@hydra.main(version_base="1.3", config_path="conf", config_name="describe")
def main(cfg: DictConfig) -> None:
    """Print the space that the command line names."""
    config = to_typed(cfg, DescribeConfig)
    space = Space.from_dict(with_match(config.space, config.match))
    console = Console()
    for part in page(space, survey(space, config.samples, config.seed)):
        console.print(part)
        console.print()


def page(space: Space, found: Survey) -> Iterator[RenderableType]:
    """The parts of the description, from the question that the space asks to what changes nothing."""
    yield Text.assemble((space.name, "bold"), "\n", space.about)
    yield _facts(space, found)
    yield _dimensions(space)
    yield _costs(space, found)
    yield _without_effect(space, found)


def _facts(space: Space, found: Survey) -> RenderableType:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold")
    facts.add_column()
    facts.add_row("base", Text(f"{space.base_name} ({_shape(space.base)})"))
    facts.add_row("size", Text(f"{space.size:,} points"))
    facts.add_row("legal", Text(_legality(found)))
    facts.add_row("different", Text(_difference(found)))
    for name in space.rules:
        facts.add_row("rule", Text(f"{name}: {RULES[name].sentence}"))
    if not space.rules:
        facts.add_row("rule", Text("none but that the network can be built"))
    if space.match is not None:
        label = MATCHES[space.match].label
        facts.add_row("matched", Text(f"all have the base's {label} within {TOLERANCE:.0%}, by their widths"))
    return facts


def _shape(arch: ArchConfig) -> str:
    columns = (f"{name} {','.join(map(str, arch.column(name)))}" for name in ("depth", "width"))
    return f"{'; '.join(columns)}; {_pixels(arch)}"


def _pixels(arch: ArchConfig) -> str:
    height, width = arch.image_size
    return f"{height} px" if height == width else f"{height}x{width} px"


def _legality(found: Survey) -> str:
    share = f"{found.legal:,} of {found.examined:,} points, {found.legal_share:.1%}"
    if found.is_whole:
        return f"{share}, every point looked at"
    low, high = found.legal_share_interval
    return f"{share}, looked at a random sample (95 % interval {low:.1%} to {high:.1%})"


def _difference(found: Survey) -> str:
    where = "" if found.is_whole else " in the sample"
    return f"{found.distinct:,} different networks built by the {found.legal:,} legal points{where}"


_VARIES = {
    Vary.STAGE: "each stage alone",
    Vary.TIED: "one value for all",
    Vary.TUPLE: "one or four values",
    Vary.TOGETHER: "fields together",
}


def _dimensions(space: Space) -> RenderableType:
    table = _table("Dimensions", "choice of", "varies", "baseline", "choices")
    for dimension in space.dimensions:
        for axis in dimension.axes:
            field = f" ({dimension.field})" if dimension.field not in ("", dimension.name) else ""
            choices = ", ".join(axis.labels)
            cells = (axis.name + field, _VARIES[dimension.vary], space.baseline[axis.name], choices)
            table.add_row(*(Text(cell) for cell in cells))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column != "choices")
    return table


def _costs(space: Space, found: Survey) -> RenderableType:
    if found.params_m is None or found.gmacs is None:
        return Text("no legal network was found, so there is no cost to tell")
    where = "all legal points" if found.is_whole else "the legal points of the sample"
    has_sizes = any("image_size" in dimension.fields for dimension in space.dimensions)
    size = "its own size" if has_sizes else _pixels(space.base)
    title = f"Cost of {where}, for an image of {size}"
    table = _table(title, "", "min", "5 %", "median", "95 %", "max", "baseline")
    baseline = estimate(space.base)
    table.add_row("parameters (M)", *_cells(found.params_m, baseline.params_m, decimals=3))
    table.add_row("multiply-adds (G)", *_cells(found.gmacs, baseline.gmacs, decimals=4))
    return table


def _cells(spread: Spread, baseline: float, decimals: int) -> list[str]:
    values = (spread.least, spread.low, spread.middle, spread.high, spread.greatest, baseline)
    return [f"{value:.{decimals}f}" for value in values]


def _without_effect(space: Space, found: Survey) -> RenderableType:
    lines = [
        f"{same.axis}: {', '.join(same.labels)} build the same network (other choices: baseline)"
        for same in space.ineffective()
    ]
    lines += [f"{axis}: no legal point chooses {label}" for axis, label in found.never_legal]
    told = "\n".join(lines or ["none: every choice changes the network"])
    return Text.assemble(("Choices without effect", "bold"), "\n", told)


if __name__ == "__main__":
    run_entry_point(main)
