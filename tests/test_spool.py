"""What a sweep could not write is written by a later one, into the database that has its trials, and else kept."""

from __future__ import annotations

import dataclasses
import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from fake_sweep import FakeSweep

from db import EpochRecord, LeadRecord, Spool, Store
from db.spool import Replayed, read_kept

EPOCH = EpochRecord(trial_id=0, epoch=1, train_loss=1.0, val_loss=1.0, val_accuracy=0.5, learning_rate=0.1, seconds=1.0)


@pytest.fixture
def sweep(tmp_path: Path) -> FakeSweep:
    return FakeSweep(tmp_path / "one")


@pytest.fixture
def kept(sweep: FakeSweep) -> Path:
    """A spool with an epoch of a trial that runs."""
    sweep.folder.mkdir()
    job = sweep.driver(seeds=1, variants=1).next_job()
    assert job is not None
    assert job.trial.uid is not None
    spool = Spool(sweep.folder, sweep.store())
    spool.keep([dataclasses.replace(EPOCH, trial_id=job.trial_id)], {job.trial_id: job.trial.uid})
    return spool.file


def replayed(store: Store, folder: Path, study: str) -> Replayed:
    lead = store.take_lead(LeadRecord(study, uuid4().hex, "host", 1), instead_of=store.lead(study))
    return Spool(folder, store).replay(lead)


def test_the_database_may_have_another_url_by_then(sweep: FakeSweep, kept: Path) -> None:
    moved = dataclasses.replace(sweep, database=f"sqlite:///{sweep.folder / 'moved.db'}")
    with closing(sqlite3.connect(sweep.folder / "sweeps.db")) as database:
        database.execute("VACUUM INTO ?", [str(sweep.folder / "moved.db")])  # with what its log holds
    store = moved.store()
    assert Spool(sweep.folder, store).file != kept
    assert replayed(store, sweep.folder, sweep.name) == Replayed(1, 0)
    assert [epoch.epoch for epoch in store.epochs(sweep.name)] == [1]
    assert not kept.exists()


def test_another_databases_results_stay(sweep: FakeSweep, kept: Path, tmp_path: Path) -> None:
    other = FakeSweep(tmp_path / "two")
    other.folder.mkdir()
    before = kept.read_bytes()
    assert replayed(other.store(), sweep.folder, other.name) == Replayed(0, 0)
    assert kept.read_bytes() == before


def test_what_an_older_copy_does_not_know_stays_until_the_newer_is_back(sweep: FakeSweep, kept: Path) -> None:
    (trial,) = sweep.trials
    assert trial.id is not None
    uids = {trial.id: str(trial.uid), 99: "f" * 32}
    later = dataclasses.replace(EPOCH, trial_id=99)
    Spool(sweep.folder, sweep.store()).keep([later], uids)
    assert replayed(sweep.store(), sweep.folder, sweep.name) == Replayed(1, 1)
    assert list(read_kept(kept)) == [("f" * 32, later)]
    assert replayed(sweep.store(), sweep.folder, sweep.name) == Replayed(0, 1)
    assert kept.exists()
