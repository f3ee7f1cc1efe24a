"""Bringing a database to the schema of this code, or refusing to touch it."""

from __future__ import annotations

import logging
import threading
from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.engine import URL

from db.backup import back_up
from db.engine import BUSY_TIMEOUT_S, missing_database, use_write_ahead_log, writing
from db.schema import PREFIX, VERSION_TABLE
from db.urls import show_url

_OPTUNA_TABLES = {"studies", "trials", "version_info"}
# Alembic passes the migration's context to its scripts through module globals.
_alembic_lock = threading.Lock()
# Any fixed number does: it makes two programs that open a fresh PostgreSQL database at once take turns.
_ADVISORY_LOCK = 0x7478


def migrate(engine: Engine, url: URL, *, create: bool) -> str | None:
    """Make or upgrade our tables, and no others; gives where a copy of those that were upgraded is, as they were.

    Raises ValueError and changes nothing if the database is somebody else's, if its schema is newer than this
    code, if it has no tables of ours and `create` is false, or if it cannot be copied before it is upgraded.
    """
    backup = None
    with engine.connect() as connection:
        current = is_current(connection, url, create)
    use_write_ahead_log(engine)
    if not current:
        with writing(engine).begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
                connection.execute(text(f"SET LOCAL lock_timeout = '{BUSY_TIMEOUT_S}s'"))
            if not is_current(connection, url, create):
                revision = _revision(connection)
                backup = back_up(connection, revision) if revision else None
                upgrade(connection)
    return backup


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run the migrations that are missing up to `revision`, inside the connection's transaction."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = _config()
    config.attributes["connection"] = connection
    with _alembic_lock:
        command.upgrade(config, revision)


def is_ours(name: str | None, kind: str, _parents: object = None) -> bool:
    """Whether Alembic may look at what has this name: at a table only if it has our prefix."""
    return kind != "table" or (name or "").startswith(PREFIX)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("db.migrations")).replace("%", "%%"))
    return config


def is_current(connection: Connection, url: URL, create: bool) -> bool:
    """Whether our tables are there as this code has them; raises ValueError as `migrate` does, and changes nothing."""
    tables = set(inspect(connection).get_table_names())
    if VERSION_TABLE not in tables:
        _check_may_create(tables, url, create)
        return False
    scripts = ScriptDirectory.from_config(_config())
    revision, newest = _revision(connection), scripts.get_current_head()
    if revision not in {script.revision for script in scripts.walk_revisions()}:
        raise ValueError(
            f"the schema of {show_url(url)} must be known to this version, which knows revisions up to {newest!r}, got "
            f"revision {revision!r}; upgrade transxnet-search, or name another database with storage.url="
        )
    return revision == newest


def _revision(connection: Connection) -> str | None:
    """Of our tables; None if there are none yet."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
    return None if found is None else str(found)


def _check_may_create(tables: set[str], url: URL, create: bool) -> None:
    if not create:
        raise missing_database(show_url(url))
    if tables and not tables >= _OPTUNA_TABLES:
        some = ", ".join(sorted(tables)[:3])
        raise ValueError(
            f"the database must be new or made by a sweep, but {show_url(url)} holds other tables ({some}); "
            f"name another one with storage.url="
        )
