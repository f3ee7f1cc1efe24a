"""What is written again changes nothing, a spool gives back what it was given, and who lost the lead writes nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from db_examples import architecture, artifact, complete, epoch, trial, with_study
from sqlalchemy import select

from db import LeadLost, LeadRecord, Recorder, Spool, Store, TrialEnd, TrialState
from db.faults import RecordDamaged
from db.schema import Base
from db.spool import Replayed, read_kept
from db.writes import Write

MOMENT = datetime(2026, 5, 1, 12, 30, 0, 123456, tzinfo=UTC)
RESULT: dict[str, Any] = {"epochs_run": 2, "val_accuracy": 0.1 + 0.2, "val_loss": 1e-300, "train_seconds": 2.0}
LEAD = LeadRecord("groups", "a" * 32, "first-host", 11)
OTHER = LeadRecord("groups", "b" * 32, "second-host", 22)


def dump(store: Store) -> str:
    """All rows of all tables, but when the lead was last renewed."""
    with store._read() as session:
        tables = {
            table.name: [tuple(row) for row in session.execute(select(*table.columns).order_by(*table.primary_key))]
            for table in Base.metadata.sorted_tables
            if table.name != "tx_leads"
        }
    return repr(tables)


def batches() -> dict[str, list[Write]]:
    """A batch of each kind, and mixed ones; the trials 1 to 4 run when one is written."""
    begun = trial(uid="c" * 32, variant={"a": (1, {"b": None})}, started_at=MOMENT)
    whole = complete(uid="d" * 32, retry_of=1, started_at=MOMENT, finished_at=MOMENT)
    ends: list[Write] = [
        TrialEnd(1, TrialState.COMPLETE, finished_at=MOMENT, **RESULT),
        TrialEnd(2, TrialState.FAILED, 1, reason="loss is nan", finished_at=MOMENT),
        TrialEnd(3, TrialState.STOPPED, 1, train_seconds=1.5),
        TrialEnd(4, TrialState.INTERRUPTED, 0),
    ]
    epochs: list[Write] = [epoch(1, 1), epoch(1, 2), epoch(2, 1, train_loss=math.nan, val_loss=math.inf)]
    files: list[Write] = [artifact(1), artifact(2, kind="log", metadata={}), artifact(3, size_bytes=0)]
    return {
        "architectures": [architecture("new"), architecture("base", params=1)],
        "a trial that begins": [begun],
        "trials": [begun, whole, replace(begun, uid="e" * 32)],
        "epochs": epochs,
        "artifacts": files,
        "ends": ends,
        "all": [architecture("new"), begun, *epochs, *files, *ends, whole],
        "what a driver writes": [architecture("new"), epochs[0], epochs[1], files[0], ends[0], begun],
    }


@pytest.mark.parametrize("doubled", [False, True])
@pytest.mark.parametrize("name", batches())
def test_a_batch_that_is_written_again_changes_no_row(store: Store, name: str, doubled: bool) -> None:
    batch = batches()[name]
    for _ in range(4):
        store.add_trial(trial())
    empty = dump(store)
    pieces = [write for write in batch for _ in range(2)]
    first = store.write(pieces if doubled else batch)
    once = dump(store)
    assert once != empty
    assert store.write(batch) == (first[::2] if doubled else first)
    assert dump(store) == once
    store.write(pieces)
    for size in (1, 2):
        for start in range(len(batch)):
            store.write(batch[start : start + size])
    assert dump(store) == once


def test_a_batch_of_which_a_part_is_refused_leaves_nothing(store: Store) -> None:
    store.add_trial(trial())
    before = dump(store)
    for wrong in (epoch(1, 9), epoch(77), artifact(77), TrialEnd(77, TrialState.FAILED, 0), trial(arch_id="none")):
        with pytest.raises(ValueError, match="must"):
            store.write([architecture("new"), trial(), epoch(1), artifact(1), wrong])
        assert dump(store) == before


def begun(store: Store, count: int) -> dict[int, str]:
    """The uids of so many new trials, by id."""
    trials = [store.add_trial(trial()) for _ in range(count)]
    return {one.id or 0: one.uid or "" for one in trials}


def test_a_spool_gives_back_every_kind_as_it_was(store: Store, tmp_path: Path) -> None:
    writes = [
        epoch(1, 1, train_loss=math.nan, val_loss=-math.inf, val_accuracy=0.1 + 0.2),
        epoch(1, 2),
        artifact(1, path="ä 😀\u2028\n.safetensors", metadata={"a": [1, None, {"b": 1e-300}]}),
        TrialEnd(1, TrialState.COMPLETE, finished_at=MOMENT, **RESULT),
        TrialEnd(2, TrialState.FAILED, 0, reason="two\nlines \u2028 'quoted'"),
    ]
    spool = Spool(tmp_path / "spools", store)
    uids = {1: "a" * 32, 2: "b" * 32}
    spool.keep(writes[:2], uids)
    spool.keep(writes[2:], uids)
    assert repr(list(read_kept(spool.file))) == repr([(uids[write.trial_id], write) for write in writes])
    assert [path.name for path in (tmp_path / "spools").iterdir()] == [spool.file.name], "nothing else is left"


def test_a_spool_is_replayed_once_and_a_second_time_without_effect(store: Store, tmp_path: Path) -> None:
    uids = begun(store, 2)
    lead = store.take_lead(LEAD)
    spool = Spool(tmp_path, store)
    ends = [TrialEnd(1, TrialState.COMPLETE, finished_at=MOMENT, **RESULT), TrialEnd(2, TrialState.FAILED, 0)]
    spool.keep([epoch(1, 1, train_loss=math.nan), epoch(1, 2), artifact(1), *ends], uids)
    copy = spool.file.read_bytes()
    assert spool.replay(lead) == Replayed(5, 0)
    assert not spool.file.exists()
    once = dump(store)
    assert [one.state for one in store.trials("groups")] == [TrialState.COMPLETE, TrialState.FAILED]
    spool.file.write_bytes(copy)
    assert spool.replay(lead) == Replayed(5, 0)
    assert (dump(store), spool.replay(lead)) == (once, Replayed(0, 0))


def test_a_spool_writes_to_no_trial_of_a_backup_that_has_the_number_of_its_own(store: Store, tmp_path: Path) -> None:
    """The database went away for good, and an older copy of it took its place."""
    lead = store.take_lead(LEAD)
    spool = Spool(tmp_path, store)
    end = TrialEnd(1, TrialState.COMPLETE, finished_at=MOMENT, **RESULT)
    spool.keep([epoch(1), end, epoch(2)], begun(store, 2) | {1: "c" * 32})
    store.interrupt_running("groups", "it went away", lead)
    assert spool.replay(lead) == Replayed(1, 2)
    assert [one.state for one in store.trials("groups")] == [TrialState.INTERRUPTED] * 2
    assert [one.trial_id for one in store.epochs("groups")] == [2]


def test_a_spool_that_does_not_fit_is_named(store: Store, tmp_path: Path) -> None:
    spool = Spool(tmp_path, store)
    spool.keep([epoch(1, 9)], begun(store, 1))
    with pytest.raises(ValueError, match=rf"what {spool.file} holds must fit the record, but .*; move the file away"):
        spool.replay(store.take_lead(LEAD))
    assert spool.file.exists()


def test_what_was_taken_for_interrupted_meanwhile_ends_as_the_spool_says_unless_it_was_run_again(
    store: Store, tmp_path: Path
) -> None:
    uids = begun(store, 2)
    lead = store.take_lead(LEAD)
    spool = Spool(tmp_path, store)
    spool.keep([TrialEnd(number, TrialState.COMPLETE, finished_at=MOMENT, **RESULT) for number in (1, 2)], uids)
    store.interrupt_running("groups", "it went away", lead)
    store.add_trial(trial(retry_of=2))
    spool.replay(lead)
    assert [one.state for one in store.trials("groups")] == [
        TrialState.COMPLETE,
        TrialState.INTERRUPTED,
        TrialState.RUNNING,
    ]


def test_a_driver_whose_lead_another_took_writes_nothing(store: Store, tmp_path: Path) -> None:
    first = store.take_lead(LEAD)
    recorder = Recorder(store, first, Spool(tmp_path, store), patience_s=60)
    recorder.add(trial(uid="c" * 32))
    second = store.take_lead(OTHER, instead_of=first)
    assert second.who == "process 22 on second-host"
    before = dump(store)
    recorder.later(epoch(1))
    attempts = (
        lambda: store.write([trial()], first),
        lambda: store.write([], first),
        lambda: store.interrupt_running("groups", "dead", first),
        lambda: store.renew_lead(first),
        recorder.flush,
        lambda: recorder.add(trial()),
        lambda: Spool(tmp_path, store).replay(first),
    )
    for attempt in attempts:
        with pytest.raises(
            LeadLost, match=r"groups is led by process 22 on second-host now.*the other goes on"
        ) as caught:
            attempt()
        assert "\n" not in str(caught.value)
        assert dump(store) == before
    store.give_up_lead(first)
    assert store.take_lead(LEAD, instead_of=first).holder == OTHER.holder, "nor does it take it back"
    store.write([trial()], second)


def test_a_lead_that_was_given_up_is_nobodys(store: Store) -> None:
    first = store.take_lead(LEAD)
    store.give_up_lead(first)
    assert store.lead("groups") is None
    with pytest.raises(LeadLost, match="led by nobody now"):
        store.write([trial()], first)
    assert store.take_lead(OTHER).holder == OTHER.holder


def test_a_file_that_is_damaged_meanwhile_is_a_fault_and_what_waits_is_kept(tmp_path: Path) -> None:
    database = tmp_path / "damaged.db"
    with Store.open(f"sqlite:///{database}") as store:
        with_study(store)
        spool = Spool(tmp_path, store)
        recorder = Recorder(store, store.take_lead(LEAD), spool, patience_s=60)
        (begun,) = recorder.add(trial(uid="c" * 32))
        for file in (database, tmp_path / "damaged.db-wal"):
            file.write_bytes(b"\xff" * file.stat().st_size)
        recorder.later(epoch(begun.id or 0))
        with pytest.raises(RecordDamaged, match="which is damaged") as caught:
            recorder.flush()
        assert caught.value.exit_code == 3
        assert [write for _, write in read_kept(spool.file)] == [epoch(begun.id or 0)]
