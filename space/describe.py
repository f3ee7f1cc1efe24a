"""Prints what a space holds: python -m space.describe space=NAME."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import hydra
from omegaconf import DictConfig
from rich.console import Console

from space.budget import Budget
from space.cli import run_entry_point, to_typed
from space.description import Description
from space.match import with_match
from space.space import Space
from space.survey import survey
from space.terminal import page


@dataclass(frozen=True)
class DescribeConfig:
    """What the command line gives."""

    space: Mapping[str, Any]
    samples: int
    seed: int
    match: str | None = None
    """A cost that all variants are given by their widths, a key of MATCHES."""
    budget: Budget = field(default_factory=Budget)
    out: str | None = None
    """Folder for the page and the picture; None writes neither."""


@hydra.main(version_base="1.3", config_path="conf", config_name="describe")
def main(cfg: DictConfig) -> None:
    """Print the space that the command line names."""
    config = to_typed(cfg, DescribeConfig)
    space = Space.from_dict(with_match(config.space, config.match))
    told = Description(space, survey(space, config.samples, config.seed, config.budget), config.budget)
    console = Console()
    for part in page(told, console.width):
        console.print(part)
        console.print()


if __name__ == "__main__":
    run_entry_point(main)
