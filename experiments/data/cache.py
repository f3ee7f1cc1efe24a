"""Keeping made data on disk so that it is whole or not there, and mapping it into memory."""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from experiments.data.fingerprint import fingerprint
from experiments.data.parts import SPLITS, Allocate, Images, Parts, Split

_META = "meta.json"
_FORGOTTEN_SECONDS = 3600


@dataclass(frozen=True, eq=False)
class Kept:
    """What a folder keeps."""

    parts: Parts
    """Memory-mapped."""
    fingerprint: str


def open_or_make(folder: Path, make: Callable[[Allocate], Parts]) -> Kept:
    """What `folder` keeps; made first if it is not there or damaged.

    `make` may put the images of a split where the given function makes room: in the folder that is being made.
    Several processes may do this at once, and any may be killed: a folder appears by renaming, complete.
    Raises OSError if the disk refuses. What `make` raises leaves nothing behind.
    """
    _sweep_forgotten(folder)
    for _ in range(3):  # another process may exchange a damaged folder while this one opens it
        if (kept := _open(folder)) is not None:
            return kept
        with _made(folder.parent):
            _place(folder, make)
    raise OSError(f"the cache {folder} does not stay as it is written; name another folder in data.cache")


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """With a folder, which is taken back, if it was made here and is empty, where what follows fails."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):  # no longer empty
            for path in missing:
                path.rmdir()
        raise


def _open(folder: Path) -> Kept | None:
    """What the folder keeps, or None if a file is missing or has not the size that was written."""
    try:
        meta = json.loads((folder / _META).read_text())
        if any((folder / name).stat().st_size != size for name, size in meta["bytes"].items()):
            return None
        splits = (_open_split(folder, name) for name in SPLITS)
        parts = Parts(tuple(meta["class_names"]), *splits, skipped=tuple(meta.get("skipped", ())))
        return Kept(parts, meta["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def _open_split(folder: Path, name: str) -> Split:
    return Split(np.load(_images_file(folder, name), mmap_mode="r"), np.load(_labels_file(folder, name), mmap_mode="r"))


def _place(folder: Path, make: Callable[[Allocate], Parts]) -> None:
    """Makes the parts beside `folder`, then renames."""
    new, old = _beside(folder), _beside(folder)
    try:
        new.mkdir()
        _write(new, make(partial(_allocate, new)))
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


def _allocate(folder: Path, split: str, shape: tuple[int, ...]) -> Images:
    file = _images_file(folder, split)
    images = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):  # a full disk must refuse now: later it would kill the process
        with file.open("r+b") as opened:
            os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)
    return images


def _write(folder: Path, parts: Parts) -> None:
    for name, split in zip(SPLITS, parts.splits, strict=True):
        _write_images(_images_file(folder, name), split.images)
        np.save(_labels_file(folder, name), split.labels)
    sizes = {file.name: file.stat().st_size for file in sorted(folder.iterdir())}
    meta: dict[str, Any] = {
        "class_names": parts.class_names,
        "fingerprint": fingerprint(parts),
        "bytes": sizes,
        "skipped": parts.skipped,
    }
    (folder / _META).write_text(json.dumps(meta))


def _write_images(file: Path, images: Images) -> None:
    if not file.exists():
        np.save(file, images)
        return
    assert isinstance(images, np.memmap), "a maker that asked for room has used it"
    images.flush()


def _images_file(folder: Path, split: str) -> Path:
    return folder / f"{split}_images.npy"


def _labels_file(folder: Path, split: str) -> Path:
    return folder / f"{split}_labels.npy"


def _beside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")


def _sweep_forgotten(folder: Path) -> None:
    """Removes what killed processes left beside `folder`."""
    for left in folder.parent.glob(f".{folder.name}.*"):
        if time.time() - _last_written(left) > _FORGOTTEN_SECONDS:
            shutil.rmtree(left, ignore_errors=True)


def _last_written(folder: Path) -> float:
    """Seconds since the epoch; now, if it is being renamed or removed."""
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    except OSError:
        return time.time()
