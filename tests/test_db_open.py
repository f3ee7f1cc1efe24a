"""Which databases are opened, which are refused untouched, and who else may stand in them."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Timer

import optuna
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from db_examples import epoch, latency, study, trial, with_study
from omegaconf import OmegaConf
from sqlalchemy import inspect, text

from db import ArchitectureRecord, Store, TrialState, check_database, check_study
from db.engine import open_engine, writing
from db.migrate import is_ours, upgrade
from db.schema import VERSION_TABLE, Base
from db.urls import parse_url, secrets_of, show_url


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


def refusal(url: str, *, create: bool = True) -> str:
    """What opening says, having refused with one line."""
    with pytest.raises(ValueError, match=r"storage\.url=|upgrade|see that the server") as caught:
        Store.open(url, create=create)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def make_first_schema(url: str) -> None:
    """A database as the first version of the code left it, with a row in each table that matters."""
    engine = open_engine(parse_url(url), create=True)
    moment = "2025-05-01 12:00:00"
    with writing(engine).begin() as connection:
        upgrade(connection, "0001")
        for line in (
            """INSERT INTO tx_architectures VALUES ('a', '{"stages": []}', 1, 2, 3, 4)""",
            f"""INSERT INTO tx_studies VALUES
                ('old', '{{}}', '{{}}', '{{}}', '{{}}', '["accuracy"]', 'a', 'x', '{moment}')""",
            f"""INSERT INTO tx_trials VALUES (1, 'old', 'a', 'a', '{{}}', 0, 'k', 'COMPLETE', 2, '1', '{{}}', '{{}}', 2,
                0.5, 1.0, 2.0, NULL, NULL, NULL, '{moment}', '{moment}')""",
        ):
            connection.exec_driver_sql(line)
        assert "latency" not in {column["name"] for column in inspect(connection).get_columns("tx_studies")}
    engine.dispose()


def tables_of(path: Path) -> set[str]:
    with sqlite3.connect(path) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    return names


def test_the_migrations_make_the_schema(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "x.db")
    Store.open(url).close()
    engine = open_engine(parse_url(url), create=False)
    options = {"version_table": VERSION_TABLE, "include_name": is_ours, "compare_server_default": True}
    with engine.connect() as connection:
        connection.execute(text("DROP INDEX ix_tx_trials_arch_id"))
        context = MigrationContext.configure(connection, opts=options)
        found = [difference[0] for difference in compare_metadata(context, Base.metadata)]
        assert found == ["add_index"], "all but what was just dropped"
        connection.rollback()
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata) == []
    engine.dispose()


@pytest.mark.parametrize("create", [True, False])
def test_a_database_of_the_first_schema_is_brought_up_with_its_rows(tmp_path: Path, create: bool) -> None:
    url = sqlite_url(tmp_path / "x.db")
    make_first_schema(url)
    with Store.open(url, create=create) as store:
        assert store.study("old").latency is None
        assert store.architectures("old")["a"] == ArchitectureRecord("a", {"stages": []}, 1, 2, 3, 4)
        found = store.trials("old")
        assert [(row.arch_id, row.val_accuracy, row.state) for row in found] == [("a", 0.5, TrialState.COMPLETE)]
        store.add_study(store.study("old"))  # the same settings still
        assert store.add_latency(latency("a")).p50_ms == 1.5
    Store.open(url, create=False).close()


def test_opening_is_silent(tmp_path: Path) -> None:
    lines = [
        "import logging, sys",
        "from db import Store",
        "logging.basicConfig(level=logging.INFO, stream=sys.stderr)",
        "[Store.open(sys.argv[1]).close() for _ in range(2)]",
    ]
    words = [sys.executable, "-W", "error", "-c", "; ".join(lines), sqlite_url(tmp_path / "x.db")]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_the_house_imports_no_heavy_library() -> None:
    code = "import sys, db; print({'torch', 'ray', 'timm', 'optuna', 'pandas'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_sqlite_is_opened_for_safe_sharing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "x.db"
    Store.open(sqlite_url(path)).close()
    engine = open_engine(parse_url(sqlite_url(path)), create=False)
    with engine.connect() as connection:
        values = {
            name: connection.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        }
    engine.dispose()
    assert values == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 30_000, "foreign_keys": 1}


def test_a_relative_path_stays_the_same_file_when_the_folder_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Store.open("sqlite:///x.db") as store:
        store._engine.dispose()
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert store.studies() == []
        assert store.url == "sqlite:///x.db"


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("runs.db", "named by a URL, got 'runs.db'"),
        ("sqlite://", "plain file"),
        ("sqlite:///:memory:", "plain file"),
        ("mysql://me:secret@host/x", "got mysql://me@host/x"),
        ("postgresql://me:secret@host:port/x", r"got 'postgresql://\*\*\*@host:port/x'"),
        ("postgresql://me:sec@secret@host/x", r"percent-encoded .* got 'postgresql://\*\*\*@host/x'"),
        ("postgresql:/me:secret@host/x", r"got 'postgresql:\*\*\*@host/x'"),
        ("me:sec\nsecret@host?password=secret", r"got 'me:\*\*\*@host\?password=\*\*\*'"),
        ("postgresql+psycopg2://me:secret@host/x", "by psycopg"),
    ],
)
def test_a_wrong_url_is_refused_without_its_password(url: str, what: str) -> None:
    with pytest.raises(ValueError, match=f"{what}.*; write storage.url=sqlite:///PATH") as caught:
        Store.open(url)
    assert "secret" not in str(caught.value)


def test_a_url_is_shown_without_passwords() -> None:
    url = parse_url("postgresql://me:secret@host/x?password=secret&sslmode=require")
    assert show_url(url) == "postgresql+psycopg://me@host/x?sslmode=require"
    assert secrets_of(url) == {"password": "secret"}


def test_a_server_that_does_not_answer_is_refused_without_the_password() -> None:
    said = refusal("postgresql+psycopg://me:secret@127.0.0.1:1/x?connect_timeout=2")
    assert "me@127.0.0.1:1/x" in said
    assert "secret" not in said


def test_a_missing_database_is_not_made_where_results_are_wanted(tmp_path: Path) -> None:
    said = refusal(sqlite_url(tmp_path / "runs" / "x.db"), create=False)
    assert "run a sweep first, or name it with storage.url=" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("content", [b"x", b"not a database, " * 300])
def test_a_file_that_is_no_database_is_refused_untouched(tmp_path: Path, content: bytes, create: bool) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(content)
    assert "a database must be a SQLite file" in refusal(sqlite_url(path), create=create)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("create", [True, False])
def test_somebody_elses_database_is_refused_untouched(tmp_path: Path, create: bool) -> None:
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE studies (patient TEXT)")
    connection.close()
    content = path.read_bytes()
    said = refusal(sqlite_url(path), create=create)
    assert ("holds other tables (studies)" if create else "run a sweep first") in said
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("create", [True, False])
def test_a_newer_schema_is_refused_untouched(tmp_path: Path, create: bool) -> None:
    path = tmp_path / "x.db"
    Store.open(sqlite_url(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    connection.close()
    content = path.read_bytes()
    assert "got revision '9999'; upgrade transxnet-search" in refusal(sqlite_url(path), create=create)
    assert path.read_bytes() == content


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    assert "is a folder" in refusal(sqlite_url(tmp_path))
    (tmp_path / "file").touch()
    assert "file is not a folder" in refusal(sqlite_url(tmp_path / "file" / "below" / "x.db"))


@pytest.mark.parametrize("locked", ["folder", "file"])
def test_what_cannot_be_written_is_refused_untouched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locked: str
) -> None:
    if locked == "file":
        (tmp_path / "x.db").touch()
    wrong = tmp_path if locked == "folder" else tmp_path / "x.db"
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != wrong)
    said = refusal(sqlite_url(tmp_path / "x.db" if locked == "file" else tmp_path / "runs" / "x.db"))
    assert f"must be writable, got sqlite:///{tmp_path}" in said
    assert f"but {wrong} is not" in said
    assert [path.name for path in tmp_path.iterdir()] == (["x.db"] if locked == "file" else [])


def test_a_new_database_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "x.db")
    code = (
        "import os, sys, alembic.op; from db import Store\n"
        "alembic.op.create_index = lambda *words, **more: os._exit(9)\n"
        "Store.open(sys.argv[1])"
    )
    assert subprocess.run([sys.executable, "-c", code, url], check=False).returncode == 9
    left = list(tmp_path.iterdir())
    assert left, "it was killed while it made the file"
    assert not (tmp_path / "x.db").exists()
    Store.open(url).close()
    assert set(left) < set(tmp_path.iterdir()), "another program may still be at it"
    for path in left:
        os.utime(path, (0, 0))
    (tmp_path / "x.db").unlink()
    Store.open(url).close()
    assert list(tmp_path.iterdir()) == [tmp_path / "x.db"]


def test_looking_ahead_refuses_what_opening_would_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "x.db"
    check_database(sqlite_url(path))
    assert list(tmp_path.iterdir()) == []
    with Store.open(sqlite_url(path)) as store:
        with_study(store)
    content = path.read_bytes()
    check_study(sqlite_url(path), study())
    check_study(sqlite_url(path), study("another", recipe={}))
    with pytest.raises(ValueError, match="a study keeps its settings"):
        check_study(sqlite_url(path), study(recipe={}))
    assert (path.read_bytes(), list(path.parent.iterdir())) == (content, [path])


def test_looking_ahead_leaves_a_database_of_the_first_schema_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    make_first_schema(sqlite_url(path))
    content = path.read_bytes()
    check_database(sqlite_url(path))
    check_study(sqlite_url(path), study("old"))
    assert path.read_bytes() == content


def test_a_failed_migration_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = sqlite_url(tmp_path / "x.db")
    with monkeypatch.context() as broken:
        broken.setattr("alembic.op.create_index", lambda *_words: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            Store.open(url)
    assert list(tmp_path.iterdir()) == []
    Store.open(url).close()


@pytest.mark.parametrize("optuna_first", [True, False])
def test_optuna_lives_in_the_same_file(tmp_path: Path, optuna_first: bool) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url = sqlite_url(tmp_path / "x.db")
    if not optuna_first:
        with Store.open(url) as store:
            with_study(store)
    sampled = optuna.create_study(study_name="groups", storage=optuna.storages.RDBStorage(url))
    sampled.optimize(lambda asked: asked.suggest_float("x", 0, 1), n_trials=2)
    before = tables_of(tmp_path / "x.db")
    with Store.open(url) as store:
        with_study(store)
        store.add_trial(trial())
        assert len(store.trials("groups")) == 1
        assert store.study("groups").name == study().name
    assert len(optuna.load_study(study_name="groups", storage=optuna.storages.RDBStorage(url)).trials) == 2
    assert {name for name in before if not name.startswith("tx_")} <= tables_of(tmp_path / "x.db")
    assert {*Base.metadata.tables, VERSION_TABLE} <= tables_of(tmp_path / "x.db")


def test_two_stores_write_one_file_in_turn(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "x.db")
    with Store.open(url) as store:
        with_study(store)

    def write(_worker: int) -> None:
        with Store.open(url) as own:
            for _ in range(10):
                stored = own.add_trial(trial())
                assert stored.id is not None
                own.add_epoch(epoch(stored.id))
                own.interrupt_running("groups", "turn")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    with Store.open(url) as store:
        assert [found.id for found in store.trials("groups")] == list(range(1, 41))
        assert len(store.epochs("groups")) == 40


def test_opening_waits_for_one_who_writes_a_file_without_write_ahead_log(tmp_path: Path) -> None:
    Store.open(sqlite_url(tmp_path / "x.db")).close()
    writer = sqlite3.connect(tmp_path / "x.db", isolation_level=None, check_same_thread=False)
    writer.execute("PRAGMA journal_mode = DELETE")
    writer.execute("BEGIN IMMEDIATE")
    end = Timer(0.3, writer.execute, ["COMMIT"])
    end.start()
    Store.open(sqlite_url(tmp_path / "x.db")).close()
    end.join()
    writer.close()
    with sqlite3.connect(tmp_path / "x.db") as later:
        assert later.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    later.close()


def test_programs_open_a_new_file_at_once_and_write_it(tmp_path: Path) -> None:
    code = (
        "import sys; from db import Store; from db_examples import *\n"
        "with Store.open(sys.argv[1]) as store:\n"
        "    with_study(store)\n"
        "    for _ in range(10): store.add_trial(complete())"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]),
    }
    words = [sys.executable, "-c", code, sqlite_url(tmp_path / "runs" / "x.db")]
    programs = [subprocess.Popen(words, env=environment) for _ in range(3)]
    assert [program.wait(timeout=60) for program in programs] == [0, 0, 0]
    with Store.open(words[-1], create=False) as store:
        assert len(store.trials("groups")) == 30


def test_a_reader_is_not_held_up_by_a_writer(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "x.db")
    with Store.open(url) as store, Store.open(url, create=False) as reader:
        with_study(store)
        with store._writing.begin() as session:
            session.execute(text("DELETE FROM tx_studies"))
            assert [found.name for found in reader.studies()] == ["groups"]


def test_the_words_after_storage_are_urls_that_are_understood() -> None:
    folder = Path(sys.modules["db"].__file__ or "").parent / "conf" / "storage"
    urls = {path.stem: OmegaConf.load(path).url for path in sorted(folder.glob("*.yaml"))}
    assert {name: parse_url(url).get_backend_name() for name, url in urls.items()} == {
        "postgresql": "postgresql",
        "sqlite": "sqlite",
    }
    assert parse_url(urls["postgresql"]).password is None


def test_opening_leaves_other_loggers_as_they_are(tmp_path: Path) -> None:
    level = logging.getLogger().level
    Store.open(sqlite_url(tmp_path / "x.db")).close()
    assert logging.getLogger().level == level
