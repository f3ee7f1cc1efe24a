"""A copy of a database as it is, made before its schema is changed."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DBAPIError

from db.durable import sync
from db.faults import fault_of
from db.schema import PREFIX
from db.urls import show_url


def back_up(connection: Connection, revision: str) -> str:
    """Copy what was committed, while the connection keeps all others from writing; gives where the copy is.

    Of a SQLite file the copy is a file beside it, of a PostgreSQL database a schema in it that holds our tables.
    Raises ValueError, or the RecordFault of a full disk, and leaves no part of a copy, if there cannot be one.
    """
    name = f"backup-{revision}-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    shown = show_url(connection.engine.url)
    try:
        if connection.dialect.name == "sqlite":
            return str(_copy_file(Path(str(connection.engine.url.database)), name))
        return f"schema {_copy_tables(connection, PREFIX + name.replace('-', '_').lower())} of {shown}"
    except (DBAPIError, sqlite3.Error, OSError) as error:
        if (fault := fault_of(error, shown)) is not None and not fault.may_pass:
            raise fault from error
        cause = " ".join(str(getattr(error, "orig", error)).split())
        raise ValueError(
            f"a database of an older version must be copied before it is upgraded, but {shown} cannot be: {cause}; see "
            f"that its folder may be written, or in PostgreSQL that its user may create a schema"
        ) from error


def _copy_file(source: Path, name: str) -> Path:
    target = source.with_name(f"{source.stem}.{name}{source.suffix}")
    partial = target.with_name(f"{target.name}.partial")
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_TRUNC, source.stat().st_mode & 0o777))
        with closing(sqlite3.connect(source)) as whole, closing(sqlite3.connect(partial)) as copy:
            whole.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # it is one file, also for whoever may only read it
        sync(partial)
        os.replace(partial, target)
        sync(target.parent)
    finally:
        for left in partial.parent.glob(f"{partial.name}*"):
            left.unlink()
    return target


def _copy_tables(connection: Connection, schema: str) -> str:
    tables = [name for name in inspect(connection).get_table_names() if name.startswith(PREFIX)]
    # Whoever still writes by the older schema waits for the upgrade rather than writes past the copy.
    connection.exec_driver_sql(f"LOCK TABLE {', '.join(tables)} IN EXCLUSIVE MODE")
    connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    for table in tables:
        connection.exec_driver_sql(f"CREATE TABLE {schema}.{table} AS TABLE {table}")
    return schema
