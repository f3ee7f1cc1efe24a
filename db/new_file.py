"""A new SQLite database appears in its place complete, or not at all.

SQLite makes an empty file first and fills it later. Whoever is killed between would leave an empty file, and another
program that begins at once would meet one: then nobody could tell it from what a failed copy leaves.
"""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

from sqlalchemy.engine import URL

from db.durable import sync
from db.engine import check_file, open_engine
from db.migrate import migrate
from db.urls import is_sqlite

_FORGOTTEN_SECONDS = 3600


def make_new_file(url: URL) -> None:
    """Make the SQLite file of a URL with its tables, unless it is there; elsewhere do nothing.

    Raises as `open_engine` and `migrate` do.
    """
    if not is_sqlite(url):
        return
    check_file(url, create=True)
    path = Path(str(url.database)).absolute()
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_forgotten(path)
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}.new")
    try:
        engine = open_engine(url.set(database=str(new)), create=True)
        try:
            migrate(engine, url, create=True)
        finally:
            engine.dispose()  # which ends the write-ahead log, too: one file is all
        _place(new, path)
    finally:
        for left in path.parent.glob(f"{new.name}*"):
            left.unlink(missing_ok=True)


def _place(new: Path, path: Path) -> None:
    """Give a complete file its name, unless another program was faster: its file is as good."""
    try:
        os.link(new, path)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        if not path.exists():
            os.rename(new, path)
    sync(path.parent)


def _remove_forgotten(path: Path) -> None:
    """What killed programs left."""
    for left in path.parent.glob(f".{path.name}.*.new*"):
        if time.time() - left.stat().st_mtime > _FORGOTTEN_SECONDS:
            left.unlink(missing_ok=True)
