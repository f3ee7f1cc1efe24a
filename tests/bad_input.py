"""One bad input of a table, and how it is run: as a user types it, but in this process."""

from __future__ import annotations

import importlib
import os
import shutil
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

COMMANDS = {
    "sweep": "experiments.sweep",
    "export": "experiments.export",
    "dashboard": "experiments.dashboard",
    "describe": "space.describe",
    "report": "analysis.report",
    "build": "transxnet.kernels.build",
}
"""Module by the word of an entry."""
WITHOUT_HYDRA = ("build",)
STUDY = "tiny_demo-digits"
TINY = "space=tiny_demo data=digits proxy.image_size=16 proxy.epochs=2 data.cache={cache}"


@dataclass(frozen=True)
class Materials:
    """What entries are made from: made once, copied into the folder of each."""

    record: Path
    """A SQLite database with the finished study `tiny_demo-digits`."""
    cache: Path
    """Decoded digits, outside the folder that is watched."""

    def words(self, text: str) -> list[str]:
        """What follows a command, with the place of the decoded digits."""
        return text.replace("{cache}", str(self.cache)).split()

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


def sweep(id: str, words: str, *told: str, prepare: Prepare = nothing) -> BadInput:
    """A mistake in a sweep of tiny_demo on digits."""
    return BadInput(id, "sweep", f"{TINY} {words}", told, prepare)


def said_of(
    entry: BadInput, materials: Materials, folder: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """The line that a bad input ends with; fails unless it is the only one, and nothing was written."""
    entry.prepare(materials, folder)
    patch.chdir(folder)
    patch.setattr(os, "access", _access)
    patch.setattr("experiments.sweep.connected", _went_on)
    patch.setattr("optuna_dashboard.run_server", _went_on)
    words = materials.words(entry.words)
    before = tree(folder)
    code = exit_code(entry.command, words, patch)
    error = capsys.readouterr().err
    assert code == 2, error
    assert error.startswith("error: "), error
    assert error.count("\n") == 1, error
    assert "Traceback" not in error
    assert tree(folder) == before
    return error


def exit_code(command: str, words: Sequence[str], patch: pytest.MonkeyPatch) -> int:
    """Of an entry point that is called as a program would be."""
    from space.cli import run_entry_point

    patch.setattr(sys, "argv", [command, *words])
    main = importlib.import_module(COMMANDS[command]).main
    with pytest.raises(SystemExit) as ended:
        sys.exit(main() if command in WITHOUT_HYDRA else run_entry_point(main))
    return int(ended.value.code or 0)


def _access(path: Path, mode: int) -> bool:
    """What a file's permissions say; root, who runs the tests in many containers, would be let in regardless."""
    asked = stat.S_IWUSR * bool(mode & os.W_OK) | stat.S_IXUSR * bool(mode & os.X_OK)
    return Path(path).stat().st_mode & asked == asked


def _went_on(*words: object, **others: object) -> NoReturn:
    raise AssertionError("a mistake must be found before Ray is started, or anything served")


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder: content by name, None for a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }
