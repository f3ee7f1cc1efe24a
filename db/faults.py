"""What ends a sweep that did nothing wrong: its record is away, full, damaged, or led by another driver."""

from __future__ import annotations

import errno
import sqlite3

from sqlalchemy.exc import DBAPIError

DatabaseTrouble = DBAPIError
"""What a database's driver raises, for those who reach it through a library of their own, as Optuna's view does."""

# SQLite's names, PostgreSQL's code. What SQLite shares with other programs it lays out before it opens the file.
_FULL = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "53100")
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


def fault_of(error: DBAPIError | sqlite3.Error | OSError, shown: str) -> RecordFault | None:
    """The fault that an error comes from; None for one of the statement itself. `shown` is the database's URL."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None) or ""
    said = " ".join(str(cause).split()) or type(cause).__name__
    if code in _FULL or (isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)):
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


def _passes(error: DBAPIError | sqlite3.Error | OSError) -> bool:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error | OSError):
        return isinstance(cause, sqlite3.OperationalError)
    return isinstance(error, DBAPIError) and (error.connection_invalidated or type(error).__name__.startswith(_PASSING))
