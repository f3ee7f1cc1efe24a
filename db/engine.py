"""The engine of a database: how it connects, and how its transactions begin.

Python's sqlite3 begins transactions late and never before a SELECT; as SQLAlchemy's documentation of its
SQLite dialect advises, that is switched off and our own BEGIN is sent. A transaction that will write says so
when it begins (BEGIN IMMEDIATE): it then waits for its turn, where a late wish to write could only fail.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import DBAPIError

from db.faults import RecordFull, fault_of
from db.urls import is_sqlite, show_url

BUSY_TIMEOUT_S = 30
_PRAGMAS = (f"busy_timeout = {BUSY_TIMEOUT_S * 1000}", "foreign_keys = ON", "synchronous = FULL")
_NOTICE_S = {"connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
"""How soon libpq notices that a server is gone; left alone it may take hours."""
_SQLITE_HEAD = b"SQLite format 3\0"
_BEGIN = "sqlite_begin"
_ANOTHER_FILE = "name another file with storage.url=sqlite:///PATH"
_DAMAGED = "put a backup in its place, or name another file with storage.url=sqlite:///PATH"
_SIGNS_OF_DAMAGE = ("malformed", "not a database", "database corruption")


class DamagedDatabase(ValueError):
    """A SQLite file of which a part cannot be read as what it was."""

    def __init__(self, shown: str, found: str) -> None:
        super().__init__(f"a database must be whole, got {shown}, which is damaged ({found}); {_DAMAGED}")


def open_engine(url: URL, *, create: bool) -> Engine:
    """An engine that has not connected yet. With `create` it makes the folder of a SQLite file.

    Raises ValueError if the file cannot be there, cannot be written, or is missing without `create`; and if
    the driver is not installed.
    """
    if is_sqlite(url):
        path = Path(str(url.database)).absolute()
        with refusals(url):
            check_file(url, create=create)
            path.parent.mkdir(parents=True, exist_ok=True)
        url = url.set(database=str(path))
    try:
        engine = create_engine(url, pool_pre_ping=not is_sqlite(url), connect_args=_connect_args(url))
    except ModuleNotFoundError as error:
        raise ValueError(
            f"PostgreSQL needs the driver psycopg, which is not installed, for {show_url(url)}; "
            f"install transxnet-search[postgres], or use storage.url=sqlite:///PATH"
        ) from error
    if is_sqlite(url):
        event.listen(engine, "connect", _on_connect)
        event.listen(engine, "begin", _on_begin)
        event.listen(engine, "handle_error", _on_error)
    return engine


def _connect_args(url: URL) -> dict[str, Any]:
    return {} if is_sqlite(url) else {name: value for name, value in _NOTICE_S.items() if name not in url.query}


def check_whole(connection: Connection) -> None:
    """Raises DamagedDatabase unless every page of a SQLite file can be read; elsewhere do nothing.

    It reads the whole file. Other damage is told when it is met.
    """
    if connection.dialect.name != "sqlite":
        return
    found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    if found != "ok":
        raise DamagedDatabase(show_url(connection.engine.url), " ".join(str(found).split()))


def missing_database(shown: str) -> ValueError:
    """What to raise where results are wanted of a database that holds none."""
    return ValueError(f"no database of sweeps at {shown}: run a sweep first, or name it with storage.url=")


def writing(engine: Engine) -> Engine:
    """The same engine, whose transactions will write."""
    return engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})


def use_write_ahead_log(engine: Engine) -> None:
    """Let readers of a SQLite file go on while one writes; the file remembers. Elsewhere do nothing."""
    if engine.dialect.name != "sqlite":
        return
    connection = engine.raw_connection()
    try:
        _retry_while_locked(connection.cursor(), "PRAGMA journal_mode = WAL")
    finally:
        connection.close()


@contextmanager
def refusals(url: URL) -> Iterator[None]:
    """Turn what the driver raises when a database cannot be opened into a ValueError of one line.

    A full disk raises RecordFull: nothing is wrong with what the user wrote.
    """
    try:
        yield
    except (DBAPIError, sqlite3.Error, OSError) as error:
        if isinstance(fault := fault_of(error, show_url(url)), RecordFull):
            raise fault from error
        cause = " ".join(str(getattr(error, "orig", error)).split())
        raise ValueError(f"cannot open the database {show_url(url)}: {cause}; {_remedy(url)}") from error


def _remedy(url: URL) -> str:
    if is_sqlite(url):
        return _ANOTHER_FILE
    return "see that the server runs, the user and the database exist, and ~/.pgpass holds the password"


def check_file(url: URL, *, create: bool) -> None:
    """Raises ValueError if the file of a SQLite database cannot be one, or is missing without `create`."""
    path = Path(str(url.database)).absolute()
    if not create and not path.exists():
        raise missing_database(show_url(url))
    folder = next(parent for parent in path.parents if parent.exists())
    if not folder.is_dir():
        raise _refused(url, "must be a file in a folder", f"{folder} is not a folder")
    if path.is_dir():
        raise _refused(url, "must be a file in a folder", f"{path} is a folder")
    for place in (folder, path):
        if place.exists() and not os.access(place, os.W_OK):
            raise _refused(url, "must be writable", f"{place} is not")
    if path.exists():
        _check_content(path, url)


def _check_content(path: Path, url: URL) -> None:
    """Whether the file begins as a database does: SQLite itself would overwrite a short text, or an empty file.

    A new database of ours is never seen empty (see `new_file`): an empty file is what a failed copy left.
    """
    if not path.is_file():
        raise _refused(url, "must be a SQLite file", f"{path} is no plain file")
    if path.stat().st_size == 0:
        raise ValueError(
            f"a database must be a SQLite file, got {show_url(url)}, but {path} is empty, as a failed copy or a full "
            f"disk leaves it; put a backup in its place, or delete it to begin a new one"
        )
    with path.open("rb") as file:
        if file.read(len(_SQLITE_HEAD)) != _SQLITE_HEAD:
            raise _refused(url, "must be a SQLite file", f"{path} is none")


def _refused(url: URL, rule: str, fact: str) -> ValueError:
    return ValueError(f"a database {rule}, got {show_url(url)}, but {fact}; {_ANOTHER_FILE}")


def _on_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


def _on_error(context: ExceptionContext) -> None:
    error = context.original_exception
    found = str(error)
    if isinstance(error, sqlite3.DatabaseError) and any(sign in found for sign in _SIGNS_OF_DAMAGE):
        assert context.engine is not None, "only connections of an engine are listened to"
        raise DamagedDatabase(show_url(context.engine.url), found)


def _retry_while_locked(cursor: Any, statement: str) -> None:
    """SQLite does not wait its busy_timeout for the lock that a change of the journal needs, so wait here."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            cursor.execute(statement).fetchall()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
