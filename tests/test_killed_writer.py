"""A program that is killed while it writes loses nothing that it was told is stored, and leaves no half of a batch."""

from __future__ import annotations

import random
import re
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from db_examples import with_study
from endless_writer import SIZE, STUDY, result, value_of
from fork_server import FAULT
from forks import Forks, forking
from postgres import PostgresServer

from db import Store, TrialState

ACKNOWLEDGED = re.compile(rf"[0-9a-f]{{32}}( \d+){{{SIZE}}}\n")


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with forking("endless_writer") as started:
        yield started


def kill_writers(
    forks: Forks, url: str, said: Path, times: int, seed: int, crash: Callable[[], None] | None = None
) -> None:
    """Start a writer and kill it a moment later, so many times; each goes on in the same database.

    Where its server crashes first, it may be ended by that.
    """
    moments = random.Random(seed)
    for _ in range(times):
        wanted = len(acknowledgements(said)) + moments.randint(1, 4)
        writer = forks.start("endless_writer:write", url, uuid4().hex, said=said)
        deadline = time.monotonic() + 60
        while len(acknowledgements(said)) < wanted:
            assert time.monotonic() < deadline, "it wrote nothing"
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.02))
        if crash is not None:
            crash()
        ended = forks.kill(writer)
        assert ended == -signal.SIGKILL or (crash and ended == FAULT), "it must not have ended by itself"


def acknowledgements(said: Path) -> list[str]:
    """The lines of batches; what a writer says that lost its server is none."""
    lines = said.read_text().splitlines(keepends=True) if said.exists() else []
    return [line for line in lines if ACKNOWLEDGED.fullmatch(line)]


def assert_all_that_was_acknowledged_is_there_and_nothing_by_halves(store: Store, said: Path) -> int:
    """Gives the number of acknowledged batches."""
    acknowledged = {line.split()[0]: [int(id) for id in line.split()[1:]] for line in acknowledgements(said)}
    trials = {trial.id: trial for trial in store.trials(STUDY)}
    begun, ended = (
        Counter(found) for found in zip(*((t.variant["batch"], t.reason) for t in trials.values()), strict=True)
    )
    epochs = Counter((epoch.trial_id, epoch.train_loss) for epoch in store.epochs(STUDY))
    files = {artifact.trial_id: artifact.sha256 for artifact in store.artifacts(STUDY)}
    for marker, ids in acknowledged.items():
        assert [trials[id].variant for id in ids] == [{"batch": marker}] * SIZE
    assert set(begun.values()) == {SIZE}
    assert {count for marker, count in ended.items() if marker} == {SIZE}, "some got as far as that"
    for id, trial in trials.items():
        assert id is not None
        if trial.state is TrialState.RUNNING:
            assert id not in files
            continue
        marker = str(trial.reason)
        assert {name: getattr(trial, name) for name in result(marker)} == result(marker)
        assert files[id] == marker
        assert epochs.pop((id, value_of(marker))) == 2
        assert begun[marker] == SIZE, "what ended these began others in one batch"
    assert not epochs
    return len(acknowledged)


def test_a_hundred_kills_lose_nothing_on_sqlite(forks: Forks, tmp_path: Path) -> None:
    url, said = f"sqlite:///{tmp_path / 'x.db'}", tmp_path / "said"
    with Store.open(url) as store:
        with_study(store)
        for round in range(4):
            kill_writers(forks, url, said, times=25, seed=round)
            with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
            assert assert_all_that_was_acknowledged_is_there_and_nothing_by_halves(store, said) >= 25 * (round + 1)


def test_twenty_kills_lose_nothing_on_postgresql(forks: Forks, postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.url("killed")
    with Store.open(url) as store:
        with_study(store)
        kill_writers(forks, url, tmp_path / "said", times=20, seed=0)
        assert assert_all_that_was_acknowledged_is_there_and_nothing_by_halves(store, tmp_path / "said") >= 20


def test_a_server_that_crashes_under_its_writers_loses_nothing(
    forks: Forks, postgres: PostgresServer, tmp_path: Path
) -> None:
    url, said = postgres.url("killed"), tmp_path / "said"
    with Store.open(url) as store:
        with_study(store)
    kill_writers(forks, url, said, times=3, seed=0, crash=postgres.restart)
    with Store.open(url) as store:
        assert assert_all_that_was_acknowledged_is_there_and_nothing_by_halves(store, said) >= 3
