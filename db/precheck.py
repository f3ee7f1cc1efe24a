"""What opening a database and adding a study would refuse, asked before anything is written."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.orm import Session

from db.checks import check_same_settings
from db.engine import check_file, check_whole, open_engine, refusals
from db.migrate import is_current
from db.records import StudyRecord
from db.rows import study_record
from db.schema import StudyRow
from db.urls import is_sqlite, parse_url


def check_database(url: str) -> None:
    """Raises ValueError where `Store.open` would, and for a SQLite file that is damaged anywhere; changes nothing."""
    _look(url, None)


def check_study(url: str, study: StudyRecord) -> None:
    """Raises ValueError where `check_database` does, and if the database has the study with other settings.

    In a database of an older version no study is looked at: `Store.open` brings it up, `add_study` looks.
    """
    _look(url, study)


def _look(url: str, study: StudyRecord | None) -> None:
    parsed = parse_url(url)
    if is_sqlite(parsed):
        check_file(parsed, create=True)
        if not Path(str(parsed.database)).exists():
            return
    engine = open_engine(parsed, create=True)
    try:
        with refusals(parsed), engine.connect() as connection:
            current = is_current(connection, parsed, create=True)
            if study is None:
                check_whole(connection)
            row = Session(connection).get(StudyRow, study.name) if current and study is not None else None
            if row is not None and study is not None:
                check_same_settings(study_record(row), study)
    finally:
        engine.dispose()
