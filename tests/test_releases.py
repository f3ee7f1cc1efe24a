"""Databases of earlier releases: copied, brought up with all that they hold, or left as they are."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import releases
from alembic.script import ScriptDirectory
from db_examples import complete
from postgres import PostgresServer
from sqlalchemy import create_engine, text

from db import RecordFull, Store
from db.migrate import _config
from db.schema import VERSION_TABLE

OLDER = releases.REVISIONS[:-1]
KINDS = ("sqlite", "postgresql")


@pytest.fixture
def release(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str, str], str]:
    """Gives the URL of a release's database, in a kind of database."""

    def put(kind: str, revision: str) -> str:
        if kind == "sqlite":
            shutil.copyfile(releases.FOLDER / f"{revision}.db", tmp_path / "x.db")
            return f"sqlite:///{tmp_path / 'x.db'}"
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.url("release")
        with server_connection(url) as connection:
            releases.load(connection, revision)
        return url

    return put


def server_connection(url: str):
    return create_engine(url).begin()


def tables_in(url: str, schema: str) -> dict[str, list[str]]:
    """The rows of our tables in a schema."""
    with server_connection(url) as connection:
        asked = text("SELECT tablename FROM pg_tables WHERE schemaname = :schema AND tablename LIKE 'tx_%'")
        names = connection.scalars(asked, {"schema": schema}).all()
        return {
            name: sorted(connection.scalars(text(f"SELECT t::text FROM {schema}.{name} t")).all()) for name in names
        }


def as_text(export: releases.Export) -> str:
    """So that NaN equals NaN."""
    return json.dumps(export, sort_keys=True, indent=1)


def expected(revision: str) -> str:
    return as_text(releases.with_defaults(json.loads((releases.FOLDER / f"{revision}.json").read_text())))


def revision_of(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()[0])


def test_the_newest_schema_has_its_release_kept() -> None:
    assert ScriptDirectory.from_config(_config()).get_current_head() == releases.REVISIONS[-1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("revision", releases.REVISIONS)
def test_a_release_is_brought_up_with_all_that_it_holds(
    release: Callable[[str, str], str], kind: str, revision: str
) -> None:
    url = release(kind, revision)
    with Store.open(url, create=False) as store:
        assert as_text(releases.export(store)) == expected(revision)
        assert (store.backup is None) == (revision == releases.REVISIONS[-1])
        assert store.add_trial(complete()).id == 7
    with Store.open(url) as again:
        assert again.backup is None


@pytest.mark.parametrize("revision", OLDER)
def test_a_file_is_copied_before_it_is_upgraded(
    release: Callable[[str, str], str], revision: str, tmp_path: Path
) -> None:
    url = release("sqlite", revision)
    (tmp_path / "x.db").chmod(0o600)
    with Store.open(url) as store:
        backup = Path(store.backup or "")
    assert backup.parent == tmp_path
    assert backup.name.startswith(f"x.backup-{revision}-2")
    assert backup.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["x.db", backup.name])
    assert revision_of(backup) == revision
    with closing(sqlite3.connect(releases.FOLDER / f"{revision}.db")) as was, closing(sqlite3.connect(backup)) as copy:
        assert list(copy.iterdump()) == list(was.iterdump())
    os.replace(backup, tmp_path / "x.db")
    with Store.open(url) as store:
        assert as_text(releases.export(store)) == expected(revision), "the copy can take the database's place"


@pytest.mark.parametrize("revision", OLDER)
def test_in_postgresql_the_tables_are_copied_into_a_schema(release: Callable[[str, str], str], revision: str) -> None:
    url = release("postgresql", revision)
    before = tables_in(url, "public")
    with Store.open(url) as store:
        backup = (store.backup or "").split()[1]
        assert store.backup == f"schema {backup} of {store.url}"
    assert backup.startswith(f"tx_backup_{revision}_2")
    assert tables_in(url, backup) == before
    assert len(before["tx_trials"]) == 6


def test_without_a_copy_nothing_is_upgraded(
    release: Callable[[str, str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = release("sqlite", "0002")
    with monkeypatch.context() as broken:
        broken.setattr("db.backup.sync", lambda path: (_ for _ in ()).throw(OSError(errno.EIO, "broken disk")))
        with pytest.raises(ValueError, match=r"must be copied before it is upgraded.*broken disk; see that") as caught:
            Store.open(url)
        broken.setattr("db.backup.sync", lambda path: (_ for _ in ()).throw(OSError(errno.ENOSPC, "no room")))
        with pytest.raises(RecordFull, match="its disk is full"):
            Store.open(url)
    assert "\n" not in str(caught.value)
    assert revision_of(tmp_path / "x.db") == "0002"
    assert [path.name for path in tmp_path.iterdir()] == ["x.db"]


def test_without_a_copy_nothing_is_upgraded_in_postgresql(
    release: Callable[[str, str], str], postgres: PostgresServer
) -> None:
    url = release("postgresql", "0002")
    postgres.role("guest", "guest")
    with server_connection(url) as connection:
        connection.execute(text("GRANT USAGE, CREATE ON SCHEMA public TO guest"))
        for (name,) in connection.execute(text("SELECT tablename FROM pg_tables WHERE tablename ~ '^tx_'")).all():
            connection.execute(text(f"ALTER TABLE {name} OWNER TO guest"))
    guests = url.replace("tests@", "guest:guest@")
    with pytest.raises(ValueError, match=r"permission denied for database.*may create a schema") as caught:
        Store.open(guests)
    assert "guest:guest" not in str(caught.value)
    with server_connection(url) as connection:
        assert connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) == "0002"


@pytest.mark.parametrize("kind", KINDS)
def test_a_database_is_upgraded_while_another_program_has_it_open(
    release: Callable[[str, str], str], kind: str
) -> None:
    url = release(kind, "0002")
    engine = create_engine(url)
    asked = text("SELECT state FROM tx_trials WHERE id = 2")
    with engine.connect() as older:
        assert older.scalar(asked) == "RUNNING"
        if kind == "postgresql":
            older.rollback()  # there an upgrade waits for those who read; it would for 30 s
        with Store.open(url) as store:
            assert as_text(releases.export(store)) == expected("0002")
            assert older.scalar(asked) == "RUNNING"
            older.rollback()
            # The older program goes on as it did: it knows none of the new columns.
            older.execute(text("UPDATE tx_trials SET state = 'INTERRUPTED', epochs_run = 0 WHERE id = 2"))
            columns = "study, arch_id, trained_arch_id, variant, seed, spec_key, state, epochs_planned, code_version, "
            columns += "packages, machine, epochs_run, started_at"
            older.execute(
                text(f"INSERT INTO tx_trials (id, {columns}) SELECT 70, {columns} FROM tx_trials WHERE id = 2")
            )
            older.commit()
            assert [(trial.id, trial.state, trial.uid) for trial in store.trials("groups")][-1] == (
                70, "INTERRUPTED", None,
            )  # fmt: skip
    engine.dispose()


def test_an_upgrade_does_not_wait_for_ever_for_one_who_reads(
    release: Callable[[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = release("postgresql", "0002")
    monkeypatch.setattr("db.migrate.BUSY_TIMEOUT_S", 1)
    before = tables_in(url, "public")
    with server_connection(url) as reader:
        reader.execute(text("SELECT 1 FROM tx_trials"))
        with pytest.raises(ValueError, match=r"cannot open the database.*lock timeout"):
            Store.open(url)
    assert tables_in(url, "public") == before


@pytest.mark.parametrize("kind", KINDS)
def test_two_programs_that_open_an_older_database_at_once_make_one_copy(
    release: Callable[[str, str], str], kind: str
) -> None:
    url = release(kind, "0001")
    start, backups = threading.Barrier(3), []

    def open_it() -> None:
        start.wait()
        with Store.open(url) as store:
            backups.append(store.backup)

    threads = [threading.Thread(target=open_it) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(backups) == 3
    assert len([backup for backup in backups if backup]) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_newer_schema_is_refused_with_both_versions(release: Callable[[str, str], str], kind: str) -> None:
    url = release(kind, releases.REVISIONS[-1])
    with server_connection(url) as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(ValueError, match=rf"up to '{releases.REVISIONS[-1]}', got revision '9999'; upgrade") as caught:
        Store.open(url)
    assert "\n" not in str(caught.value)
    with server_connection(url) as connection:
        assert connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) == "9999"
