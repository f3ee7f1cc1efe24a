"""A database's password stays where the user put it: a sentinel is looked for wherever a sweep leaves something."""

from __future__ import annotations

import base64
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import optuna_dashboard
import pytest
from postgres import PostgresServer
from psycopg import sql

from db import RecordAway, StorageConfig, Store
from db.urls import parse_url, show_url
from space.cli import run_entry_point

pytestmark = pytest.mark.ray

PASSWORD = "Hq7head' \"@{}%41/:#?&=\\ tailVx2"
TRACES = [part for core in ("Hq7head", "tailVx2") for part in (core, core[::-1])]
USER = "searcher"
WORDS = ["space=tiny_demo", "data=digits", "proxy.epochs=1", "proxy.image_size=16", "trials=2", "seeds=1"]


@dataclass(frozen=True)
class Place:
    """Where a database is of which the role USER is the owner, and into which it is let by `PASSWORD`."""

    port: int

    def url(self, database: str = "secrets", password: str = "") -> str:
        return f"postgresql+psycopg://{USER}{password and f':{password}'}@127.0.0.1:{self.port}/{database}"


@pytest.fixture
def place(postgres: PostgresServer) -> Place:
    postgres.role(USER, PASSWORD)
    postgres.url("secrets", USER)
    return Place(postgres.port)


def traces_in(content: bytes) -> list[str]:
    """Forms in which a part of the password is there, each telling where it begins."""
    forms = {trace.encode() for trace in TRACES} | {trace.encode("utf-16-le") for trace in TRACES}
    for trace in TRACES:
        for shift in range(3):  # base64 of a part depends on what stands before it
            forms.add(base64.b64encode(bytes(shift) + trace.encode())[(4 * shift + 2) // 3 : -4])
    return [f"{form!r} at {content.find(form)}" for form in forms if form in content]


def traces_below(*folders: Path) -> list[str]:
    found = []
    walked = (step for folder in folders for step in os.walk(folder))  # which passes over what vanishes meanwhile
    for path in (Path(place) / name for place, _, names in walked for name in names):
        try:
            if path.is_file() and not path.is_symlink():
                found += [f"{path}: {trace}" for trace in traces_in(path.read_bytes())]
        except FileNotFoundError:
            continue  # Ray's workers come and go
    return found


def traces_in_process_list() -> list[str]:
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += [f"{command}: {trace}" for trace in traces_in(command.read_bytes())]
        except OSError:
            continue
    return found


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


def run_watched(folder: Path, watched: Path, environment: dict[str, str], *words: str) -> Said:
    """Run a sweep to its end, looking at the process list and at the files below `watched` while it runs."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    command = [sys.executable, "-W", "ignore", "-m", "experiments.sweep", *words]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=folder, env={**clean, **environment}, **streams)
    deadline = time.monotonic() + 400
    try:
        while process.poll() is None and time.monotonic() < deadline:
            assert not traces_in_process_list()
            assert not traces_below(watched)
            time.sleep(1)
    finally:
        process.terminate()
    out, err = process.communicate()
    return Said(process.returncode, out, err)


@contextmanager
def short_folder() -> Iterator[Path]:
    """Ray's sockets need a short path."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def test_what_looks_for_the_password_finds_it(tmp_path: Path) -> None:
    for content in (
        PASSWORD.encode(),
        quote(PASSWORD).encode(),
        pickle.dumps({"url": PASSWORD}),
        base64.b64encode(b"x" + PASSWORD.encode()),
        PASSWORD.partition("@")[2].encode(),
    ):
        (tmp_path / "file").write_bytes(b"before" + content)
        assert traces_below(tmp_path)
    assert not traces_in(b"head, tail and everything else")


@pytest.fixture
def passfile(place: Place, tmp_path: Path) -> Path:
    file = tmp_path / "passwords"
    escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    file.write_text(f"127.0.0.1:{place.port}:*:{USER}:{escaped}\n")
    file.chmod(0o600)
    return file


def test_a_sweep_its_report_export_and_failure_leave_no_password_anywhere(
    place: Place,
    postgres: PostgresServer,
    tmp_path: Path,
    passfile: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import analysis.report
    import experiments.export

    def run(main: Callable[[], None], *words: str) -> Said:
        """A command in this process, which has imported everything."""
        monkeypatch.setattr(sys, "argv", ["command", *words])
        try:
            run_entry_point(main)
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        return Said(code, *capsys.readouterr())

    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    typed = f"storage.url={place.url(password='${oc.env:DATABASE_PASSWORD}')}"
    named, study = f"storage.url={place.url()}", "study=tiny_demo-digits"
    with short_folder() as scratch:
        kept = {"RAY_TMPDIR": str(scratch), "TMPDIR": str(scratch), "DATABASE_PASSWORD": quote(PASSWORD, safe="")}
        swept = run_watched(folder, scratch, kept, *WORDS, typed)
        assert not traces_below(scratch)
    assert (swept.code, swept.err) == (0, "")
    assert named in swept.out, "the next commands name the database without the password"
    monkeypatch.setenv("PGPASSFILE", str(passfile))
    reported = run(analysis.report.main, study, named)
    monkeypatch.delenv("PGPASSFILE")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    exported = run(experiments.export.main, study, named, "name=winner")
    refused = run(analysis.report.main, study, f"storage.url={place.url('none')}")
    assert [said.code for said in (reported, exported, refused)] == [0, 0, 2]
    assert not traces_in(repr([swept, reported, exported, refused]).encode())
    assert not traces_below(folder)
    assert (folder / "variants" / "winner" / "config.json").is_file()
    tables = subprocess.check_output([postgres.binaries / "pg_dump", "--inserts", place.url().replace("+psycopg", "")])
    assert b"tiny_demo-digits" in tables
    assert not traces_in(tables)


def test_a_database_that_does_not_open_is_told_without_the_password(place: Place) -> None:
    secret = quote(PASSWORD, safe="")
    for wrong in (
        place.url("none", secret),
        place.url(password=secret + "x"),
        Place(1).url(password=secret),
        place.url(password=PASSWORD),
    ):
        with pytest.raises(ValueError, match=r"~/\.pgpass") as caught:
            Store.open(wrong)
        assert not traces_in("".join(traceback.format_exception(caught.value)).encode())


def test_the_password_works_inside_a_url_and_neither_pickles_nor_words_tell_it(place: Place) -> None:
    from experiments.optuna_tables import open_optuna

    storage = StorageConfig(place.url(password=quote(PASSWORD, safe="")))
    with Store.open(storage.url) as store:
        optuna = open_optuna(storage.url)
        optuna.create_new_study([])
        page: list[bytes] = []
        for path in ("/api/meta", "/api/studies", "/dashboard"):
            environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": ""}
            page += optuna_dashboard.wsgi(optuna)(environ, lambda *_head: None)
        assert b"study_summaries" in b"".join(page)
        told = [
            repr(storage),
            str(storage),
            storage.shown,
            store.url,
            repr(vars(store)),
            repr(vars(optuna)),
            optuna.url,
        ]
        assert not traces_in("".join(told).encode() + b"".join(page))
        assert not traces_in(pickle.dumps(storage) + pickle.dumps(optuna))
        assert pickle.loads(pickle.dumps(storage)).url == show_url(parse_url(place.url()))


def test_a_server_that_refuses_later_is_told_without_the_password(place: Place, postgres: PostgresServer) -> None:
    with Store.open(place.url(password=quote(PASSWORD, safe=""))) as store:
        store._engine.dispose()
        postgres.run(sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(USER)))
        try:
            with pytest.raises(RecordAway) as caught:
                store.studies()
        finally:
            postgres.run(sql.SQL("ALTER ROLE {} LOGIN").format(sql.Identifier(USER)))
        assert not traces_in("".join(traceback.format_exception(caught.value)).encode())
        assert store.studies() is not None
