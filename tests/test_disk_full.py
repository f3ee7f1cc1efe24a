"""The disk of a sweep is full: it ends with one line, keeps what it acknowledged, and goes on when there is room."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from db_examples import trial, with_study
from sweeps import wait_for
from zygote import Zygote

from db import RecordFull, Store, TrialRecord, TrialState
from db.engine import open_engine
from db.urls import parse_url

pytestmark = pytest.mark.ray

STUDY = "full"
TRIALS = 18
WORDS = (
    "space=tiny_demo",
    "data=digits",
    f"study={STUDY}",
    "proxy.image_size=16",
    "proxy.epochs=2",
    "seeds=3",
    "resources.max_concurrent=2",
    "checkpoint_s=0",
)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", place], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def make_room(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)


def fill(disk: Path, leave: int = 0) -> None:
    """Write a file until only so many bytes are left."""
    with (disk / "filler").open("wb", buffering=0) as file:
        if leave:
            file.write(bytes(os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - leave))
            return
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def assert_ended_for_want_of_room(code: int, said: str) -> None:
    assert code == 4, said
    errors = [line for line in said.splitlines() if line.startswith("error:")]
    assert len(errors) == 1, said
    assert re.search(r"full.*make room, and the same command goes on", errors[0])
    assert "Traceback" not in said


def assert_ends_when_its_disk_is_full(zygote: Zygote, disk: Path, folder: Path, words: tuple[str, ...]) -> None:
    """Fill the disk of a sweep that has told three results."""
    sweep = zygote.start(folder, *words)
    said = folder / "said"
    wait_for(lambda: said.exists() and told(said.read_text()) >= 3)
    fill(disk)
    assert_ended_for_want_of_room(zygote.wait(sweep), said.read_text())


def complete_in(database: Path) -> dict[int | None, TrialRecord]:
    """The file is sound; its COMPLETE trials by id."""
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with Store.open(f"sqlite:///{database}") as store:
        trials = store.trials(STUDY)
        epochs = {(epoch.trial_id, epoch.epoch): epoch.val_accuracy for epoch in store.epochs(STUDY)}
    complete = {trial.id: trial for trial in trials if trial.state is TrialState.COMPLETE}
    assert all(epochs[trial.id or 0, 2] == trial.val_accuracy for trial in complete.values())
    assert not [trial for trial in trials if trial.state is TrialState.FAILED], "no trial is to blame"
    return complete


def told(said: str) -> int:
    """How many results the sweep said that it has."""
    return max((int(count) for count in re.findall(rf"^ *(\d+)/{TRIALS} ", said, re.MULTILINE)), default=0)


def assert_goes_on(zygote: Zygote, folder: Path, words: tuple[str, ...], database: Path) -> None:
    """The same command ends well, and what was there stays as it was."""
    before, lines = complete_in(database), (folder / "said").read_text()
    assert len(before) >= told(lines) >= 1
    assert zygote.wait(zygote.start(folder, *words)) == 0, (folder / "said").read_text()
    after = complete_in(database)
    assert len(after) == len({(trial.arch_id, trial.seed) for trial in after.values()}) == TRIALS
    assert after.items() >= before.items()


def test_a_sweep_whose_database_cannot_grow_ends_and_goes_on(zygote: Zygote, disk: Path, tmp_path: Path) -> None:
    fill(disk, leave=1_200_000)
    database = disk / "sweeps.db"
    words = (*WORDS, f"storage.url=sqlite:///{database}")
    code = zygote.wait(zygote.start(tmp_path, *words))
    said = (tmp_path / "said").read_text()
    assert_ended_for_want_of_room(code, said)
    assert "must have room to grow, but its disk is full" in said
    assert 1 <= told(said) < TRIALS
    if kept := re.search(r"(\d+) writes are kept in (\S+);", said):
        assert len((tmp_path / kept[2]).read_text().splitlines()) == int(kept[1])
    assert len(complete_in(database)) == told(said), "as full as the disk is"
    make_room(disk)
    assert_goes_on(zygote, tmp_path, words, database)
    assert not list(tmp_path.glob("runs/full/spool-*"))


def test_a_sweep_whose_files_have_no_room_ends_and_goes_on(zygote: Zygote, disk: Path, tmp_path: Path) -> None:
    database = disk / "sweeps.db"
    words = (*WORDS, f"storage.url=sqlite:///{database}", f"runs={disk / 'runs'}")
    assert_ends_when_its_disk_is_full(zygote, disk, tmp_path, words)
    make_room(disk)
    assert_goes_on(zygote, tmp_path, words, database)


def test_workers_that_cannot_save_are_not_taken_for_failures(zygote: Zygote, disk: Path, tmp_path: Path) -> None:
    words = (*WORDS, "storage.url=sqlite:///sweeps.db", f"runs={disk / 'runs'}")
    assert_ends_when_its_disk_is_full(zygote, disk, tmp_path, words)
    with Store.open(f"sqlite:///{tmp_path / 'sweeps.db'}") as store:
        assert TrialState.RUNNING not in {trial.state for trial in store.trials(STUDY)}
    complete_in(tmp_path / "sweeps.db")


def test_a_database_is_not_begun_on_a_full_disk(disk: Path) -> None:
    fill(disk)
    with pytest.raises(RecordFull, match="its disk is full") as caught:
        Store.open(f"sqlite:///{disk / 'sub' / 'x.db'}")
    assert caught.value.exit_code == 4
    (disk / "filler").unlink()
    with Store.open(f"sqlite:///{disk / 'sub' / 'x.db'}") as store:
        assert store.studies() == []


def add_trials(store: Store, stored: list[TrialRecord]) -> None:
    for number in range(10_000):
        stored.append(store.add_trial(trial(seed=number, variant={"size": "x" * 2000})))


def test_a_full_disk_is_no_loss_of_what_was_stored_and_the_log_is_emptied_when_there_is_room(disk: Path) -> None:
    url, log = f"sqlite:///{disk / 'x.db'}", disk / "x.db-wal"
    with Store.open(url) as store:
        with_study(store)
        stored: list[TrialRecord] = []
        with pytest.raises(RecordFull):
            add_trials(store, stored)
        assert log.stat().st_size > 1_000_000
        assert store.trials("groups") == stored
        with pytest.raises(RecordFull):
            store.add_trial(trial(variant={"size": "x" * 2000}))
        make_room(disk)
        stored.append(store.add_trial(trial(seed=-1)))
    assert not log.exists(), "all of it is in the file"
    engine = open_engine(parse_url(url), create=False)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    engine.dispose()
    with Store.open(url) as store:
        assert store.trials("groups") == stored
