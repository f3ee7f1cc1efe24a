"""One bad input of a table, and how it is run: as a user types it, but in this process."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

COMMANDS = {
    "sweep": "experiments.sweep",
    "export": "experiments.export",
    "dashboard": "experiments.dashboard",
    "describe": "space.describe",
    "report": "analysis.report",
}
"""Module by the word of an entry."""


@dataclass(frozen=True)
class Materials:
    """What entries are made from: made once, copied into the folder of each."""

    record: Path
    """A SQLite database with the finished study `tiny_demo-digits`."""
    cache: Path
    """Decoded digits, outside the folder that is watched."""

    def copy_record(self, folder: Path) -> Path:
        """The database, where commands look for it by default."""
        target = folder / "runs" / "transxnet.db"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.record, target)
        return target


Prepare = Callable[[Materials, Path], object]


def nothing(materials: Materials, folder: Path) -> None:
    """An empty folder."""


@dataclass(frozen=True)
class BadInput:
    """A command that must end with one line."""

    id: str
    command: str
    """A key of COMMANDS."""
    words: str
    """What follows the command, separated by spaces; {cache} is the decoded digits."""
    told: tuple[str, ...]
    """What the line must hold: the file or word, the rule, the remedy."""
    prepare: Prepare = nothing
    """Makes what the words name, in the folder where the command is typed."""


def said_of(
    entry: BadInput, materials: Materials, folder: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """The line that a bad input ends with; fails unless it is the only one, and nothing was written."""
    entry.prepare(materials, folder)
    patch.chdir(folder)
    words = [word.format(cache=materials.cache) for word in entry.words.split()]
    before = tree(folder)
    code = exit_code(entry.command, words, patch)
    error = capsys.readouterr().err
    assert code == 2, error
    assert error.startswith("error: "), error
    assert error.count("\n") == 1, error
    assert "Traceback" not in error
    assert tree(folder) == before
    return error


def exit_code(command: str, words: list[str], patch: pytest.MonkeyPatch) -> int:
    """Of an entry point that is called as a program would be."""
    from space.cli import run_entry_point

    patch.setattr(sys, "argv", [command, *words])
    with pytest.raises(SystemExit) as ended:
        run_entry_point(importlib.import_module(COMMANDS[command]).main)
    return int(ended.value.code or 0)


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder: content by name, None for a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }
