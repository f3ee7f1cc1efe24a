"""Checkpoints of trials that have not ended, kept beside the sweep so that a retry goes on where they were."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.durable import sync
from experiments.weights import sha256

PARTIAL = ".partial-"
"""How the name of a checkpoint begins that is being written."""
ABOUT_FILE = "about.json"
"""Beside a checkpoint's own files: of which spec and epoch it is, and their digests."""


@dataclass(frozen=True)
class Checkpoint:
    """A trial after an epoch."""

    epoch: int
    folder: Path


class Checkpoints:
    """A folder with one checkpoint a trial, the newest, by the trial's uid. What has its name there is whole."""

    def __init__(self, folder: Path) -> None:
        """`folder` is one that all workers reach."""
        self._folder = folder

    def keep(self, uid: str, epoch: int, spec_key: str, source: Path) -> None:
        """Copy a trial's checkpoint after `epoch`, in place of an older one."""
        target = self._folder / f"{uid}-epoch-{epoch}"
        if target.exists():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=self._folder))
        names = sorted(path.name for path in source.iterdir() if path.is_file() and not path.name.startswith("."))
        for name in names:
            shutil.copyfile(source / name, partial / name)
        about = {"epoch": epoch, "spec_key": spec_key, "sha256": {name: sha256(partial / name) for name in names}}
        (partial / ABOUT_FILE).write_text(json.dumps(about))
        for path in partial.iterdir():
            sync(path)
        older = self._of(uid)
        os.rename(partial, target)
        for folder in older:
            shutil.rmtree(folder, ignore_errors=True)

    def find(self, uid: str, spec_key: str) -> Checkpoint | None:
        """The newest sound checkpoint of a trial of this spec."""
        found = sorted((Checkpoint(_epoch(folder), folder) for folder in self._of(uid)), key=lambda one: -one.epoch)
        return next((one for one in found if _is_sound(one, spec_key)), None)

    def drop(self, uid: str) -> None:
        """Forget a trial's, which has ended."""
        for folder in self._of(uid):
            shutil.rmtree(folder, ignore_errors=True)

    def clear(self) -> None:
        """Remove what a killed driver left half-written, and the folder if nothing is in it."""
        for left in self._folder.glob(f"{PARTIAL}*"):
            shutil.rmtree(left, ignore_errors=True)
        if self._folder.is_dir() and not any(self._folder.iterdir()):
            self._folder.rmdir()

    def _of(self, uid: str) -> list[Path]:
        return list(self._folder.glob(f"{uid}-epoch-*"))


def _epoch(folder: Path) -> int:
    return int(folder.name.rpartition("-")[2])


def _is_sound(one: Checkpoint, spec_key: str) -> bool:
    try:
        about: dict[str, Any] = json.loads((one.folder / ABOUT_FILE).read_text())
        digests = {name: sha256(one.folder / name) for name in about["sha256"]}
    except (OSError, ValueError, KeyError):
        return False  # the trial is trained from the beginning
    return about == {"epoch": one.epoch, "spec_key": spec_key, "sha256": digests}
