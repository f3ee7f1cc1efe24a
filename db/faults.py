"""What ends a sweep that did nothing wrong: its record is away, full, damaged, or led by another driver."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError

DatabaseTrouble = DBAPIError
"""What a database's driver raises, for those who reach it through a library of their own, as Optuna's view does."""

_FULL = ("SQLITE_FULL", "53100")  # SQLite's name, PostgreSQL's code
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_PASSING = ("Operational", "Interface", "Internal")  # how drivers call what is not the statement's fault


class RecordFault(Exception):
    """The record cannot be written now. All that was acknowledged is in it."""

    exit_code = 3
    may_pass = False
    """Whether waiting may help."""


class RecordAway(RecordFault):
    """No connection, or one that broke."""

    may_pass = True


class RecordDamaged(RecordFault):
    """The file is not a sound database any more."""


class RecordFull(RecordFault):
    """No room is left where the database is."""

    exit_code = 4


class LeadLost(RecordFault):
    """Another driver runs the study now."""


def fault_of(error: DBAPIError, shown: str) -> RecordFault | None:
    """The fault that a database's error comes from; None for one of the statement itself. `shown` is the URL."""
    cause = error.orig
    code = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None) or ""
    said = " ".join(str(cause).split()) or type(cause).__name__
    if code in _FULL:
        return RecordFull(
            f"the database {shown} must have room to grow, but its disk is full ({said}); make room, and the same "
            f"command goes on: all that was acknowledged is kept"
        )
    if code in _DAMAGED:
        return RecordDamaged(f"the database {shown} must be sound, but {said}; put a backup in its place")
    if not _passes(error):
        return None
    return RecordAway(
        f"the database {shown} must be reachable, but {said}; see that it runs, and the same command goes on"
    )


def _passes(error: DBAPIError) -> bool:
    if isinstance(error.orig, sqlite3.Error):
        return isinstance(error.orig, sqlite3.OperationalError)
    return error.connection_invalidated or type(error).__name__.startswith(_PASSING)
