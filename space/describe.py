"""Tells what a space holds: python -m space.describe space=NAME [out=FOLDER]."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig
from rich.console import Console

from space.budget import Budget
from space.cli import is_out_of_room, run_entry_point, to_typed
from space.description import Description
from space.match import with_match
from space.space import Space
from space.survey import survey
from space.terminal import page


@dataclass(frozen=True)
class DescribeConfig:
    """What the command line gives. Raises ValueError for a wrong seed."""

    space: Mapping[str, Any]
    samples: int
    seed: int
    match: str | None = None
    """A cost that all variants are given by their widths, a key of MATCHES."""
    budget: Budget = field(default_factory=Budget)
    out: str | None = None
    """Folder for the page and the picture; None writes neither."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or above, got {self.seed}; write for example 0")


@hydra.main(version_base="1.3", config_path="conf", config_name="describe")
def main(cfg: DictConfig) -> None:
    """Print the space that the command line names, and write it where the command line says."""
    config = to_typed(cfg, DescribeConfig)
    space = Space.from_dict(with_match(config.space, config.match))
    told = Description(space, survey(space, config.samples, config.seed, config.budget), config.budget)
    written = write_files(told, Path(config.out)) if config.out is not None else []
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without block characters gets question marks
    console = Console()
    for part in page(told, console.width):
        console.print(part)
        console.print()
    for path in written:
        console.print(str(path), soft_wrap=True, highlight=False, markup=False)


def write_files(told: Description, folder: Path) -> list[Path]:
    """The page and, where there is a cost to draw, the picture, in a folder that is made if need be.

    Raises ValueError for a folder that cannot be written.
    """
    from space.figure import picture_png  # matplotlib comes with a picture only
    from space.page_html import description_html

    contents = {"space.html": description_html(told).encode()}
    if told.found.costs:
        contents["space.png"] = picture_png(told)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        if is_out_of_room(error):
            raise
        raise ValueError(
            f"out must be a folder that can be written, got {folder} ({error.strerror}); choose another"
        ) from error
    return [folder / name for name in contents]


if __name__ == "__main__":
    run_entry_point(main)
