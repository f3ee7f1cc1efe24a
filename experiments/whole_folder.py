"""A folder that appears whole or not at all, and takes an old one's place in one step, whenever the writer dies."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from db.durable import sync
from experiments.exchange import exchange

_FULL = {errno.ENOSPC, errno.EDQUOT}


class DiskFull(Exception):
    """There is no room for what was to be written; what was there is as it was."""

    exit_code = 4


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder beside `folder` to write into, which is on the disk and in its place when the block ends.

    If the block raises, it vanishes. If `folder` exists, the two are exchanged and the old one is removed (whether it
    may be is the caller's to know): `folder` is the old one or the new one, at whatever moment this process is
    killed. What a killed writer of the same folder left is removed by the next.

    Raises ValueError if another process is writing this folder now, if nothing can be written there, or if an
    existing folder cannot be exchanged, and DiskFull; then the old folder is as it was.
    """
    try:
        with _only_writer(folder):
            _remove_leftovers(folder)
            partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
            try:
                yield partial
                partial.chmod(0o755)
                _put_in_place(partial, folder)
            finally:
                # After an exchange this is the old folder, after a rename nothing.
                shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(
                f"the disk has no room for {folder}; nothing was changed, make room and try again"
            ) from error
        raise


def _put_in_place(partial: Path, folder: Path) -> None:
    """Give `partial` the name `folder`, after all of it has reached the disk."""
    for path in [*partial.rglob("*"), partial, folder.parent]:
        sync(path)
    if folder.exists():
        exchange(partial, folder)
    else:
        os.rename(partial, folder)
    sync(folder.parent)


def _remove_leftovers(folder: Path) -> None:
    """Whose lock we hold: nobody is writing these any more."""
    ours = re.compile(rf"\.{re.escape(folder.name)}-[a-z0-9_]{{8}}")  # the names that mkdtemp makes
    for path in folder.parent.iterdir():
        if ours.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder`: a hidden file beside it, free again when this process ends, however it ends."""
    path = folder.parent / f".{folder.name}.lock"
    with _locked(path, folder):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)  # while it is locked: who opened it meanwhile sees that it is gone


@contextmanager
def _locked(path: Path, folder: Path) -> Iterator[None]:
    while True:
        with _opened(path) as file:
            _lock(file, folder)
            if _is_still(path, file):
                yield
                return


def _opened(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a")
    except OSError as error:
        if error.errno in _FULL:
            raise
        raise ValueError(
            f"a folder for variants must be one that can be written, got {path.parent} ({error.strerror}); "
            f"write variants=FOLDER for another"
        ) from error


def _lock(file: IO[str], folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ValueError(
            f"a folder has one writer at a time, but another process is writing {folder} now; wait for it"
        ) from error


def _is_still(path: Path, file: IO[str]) -> bool:
    """Whether an open file is the one at `path`: its last holder may have removed it before we had the lock."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
