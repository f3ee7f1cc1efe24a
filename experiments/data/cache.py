"""Keeping made data on disk so that it is whole or not there, and mapping it into memory."""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.data.fingerprint import fingerprint
from experiments.data.parts import SPLITS, Parts, Split

_META = "meta.json"
_FORGOTTEN_SECONDS = 3600


@dataclass(frozen=True, eq=False)
class Kept:
    """What a folder keeps."""

    parts: Parts
    """Memory-mapped."""
    fingerprint: str


def open_or_make(folder: Path, make: Callable[[], Parts]) -> Kept:
    """What `folder` keeps; made first if it is not there or damaged.

    Several processes may do this at once, and any may be killed: a folder appears by renaming, complete.
    Raises OSError if the disk refuses.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep_forgotten(folder)
    for _ in range(3):  # another process may exchange a damaged folder while this one opens it
        if (kept := _open(folder)) is not None:
            return kept
        _place(folder, make())
    raise OSError(f"the cache {folder} does not stay as it is written; name another folder in data.cache")


def _open(folder: Path) -> Kept | None:
    """What the folder keeps, or None if a file is missing or has not the size that was written."""
    try:
        meta = json.loads((folder / _META).read_text())
        if any((folder / name).stat().st_size != size for name, size in meta["bytes"].items()):
            return None
        parts = Parts(tuple(meta["class_names"]), *(_open_split(folder, name) for name in SPLITS))
        return Kept(parts, meta["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def _open_split(folder: Path, name: str) -> Split:
    return Split(np.load(_images_file(folder, name), mmap_mode="r"), np.load(_labels_file(folder, name), mmap_mode="r"))


def _place(folder: Path, parts: Parts) -> None:
    """Writes the parts beside `folder`, then renames."""
    new, old = _beside(folder), _beside(folder)
    try:
        _write(new, parts)
        if folder.exists() and _open(folder) is None:
            os.rename(folder, old)
        os.rename(new, folder)
    except OSError:
        if not folder.exists():
            raise
        # Another process was faster; its folder is as good.
    finally:
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)


def _write(folder: Path, parts: Parts) -> None:
    folder.mkdir()
    for name, split in zip(SPLITS, parts.splits, strict=True):
        np.save(_images_file(folder, name), split.images)
        np.save(_labels_file(folder, name), split.labels)
    sizes = {file.name: file.stat().st_size for file in sorted(folder.iterdir())}
    meta: dict[str, Any] = {
        "class_names": parts.class_names,
        "fingerprint": fingerprint(parts),
        "bytes": sizes,
    }
    (folder / _META).write_text(json.dumps(meta))


def _images_file(folder: Path, split: str) -> Path:
    return folder / f"{split}_images.npy"


def _labels_file(folder: Path, split: str) -> Path:
    return folder / f"{split}_labels.npy"


def _beside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")


def _sweep_forgotten(folder: Path) -> None:
    """Removes what killed processes left beside `folder`."""
    for left in folder.parent.glob(f".{folder.name}.*"):
        if time.time() - left.stat().st_mtime > _FORGOTTEN_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
