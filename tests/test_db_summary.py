"""What the database works out of many rows, and readings that leave out what nobody asks for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from db_examples import architecture, complete, epoch, study, trial, with_study

from db import Ending, Provenance, Store, TrialState

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/test.db") as opened:
        yield with_study(opened, "groups", "later")


def at(hours: float) -> dict[str, datetime]:
    return {"started_at": BEGAN + timedelta(hours=hours), "finished_at": BEGAN + timedelta(hours=hours + 1)}


def fill(store: Store) -> None:
    first = store.add_trial(complete(seed=0, val_accuracy=0.5, train_seconds=3.5, **at(0)))
    store.add_trial(complete(seed=1, spec_key="b", val_accuracy=0.75, train_seconds=4.0, **at(1)))
    store.add_trial(complete(arch_id="other", seed=0, reused_from=first.id, train_seconds=3.5, **at(2)))
    for seed, reason in enumerate(["nan", "nan", "out of memory", None]):
        store.add_trial(trial(state=TrialState.FAILED, seed=seed, reason=reason, epochs_run=1, **at(3)))
    store.add_trial(trial(state=TrialState.STOPPED, seed=2, reason="nan", epochs_run=1, train_seconds=0.5, **at(4)))
    store.add_trial(trial(seed=5, started_at=BEGAN + timedelta(hours=9)))


def test_a_summary_counts_what_was_trained_and_how_it_ended(store: Store) -> None:
    fill(store)
    [groups, later] = store.summaries()
    assert (groups.study, later.study) == (store.study("groups"), store.study("later"))
    assert groups.states == {
        TrialState.COMPLETE: 3, TrialState.FAILED: 4, TrialState.STOPPED: 1, TrialState.RUNNING: 1,
    }  # fmt: skip
    assert (groups.variants, groups.seeds, groups.reused, groups.best_accuracy) == (2, 5, 1, 0.75)
    assert (groups.epochs, groups.train_seconds) == (2 + 2 + 4 + 1, 3.5 + 4.0 + 0.5)
    assert (groups.started_at, groups.last_result_at) == (BEGAN, BEGAN + timedelta(hours=5))
    assert store.summaries("groups") == [groups]


def test_a_study_without_trials_has_an_empty_summary(store: Store) -> None:
    [later] = store.summaries("later")
    assert (later.states, later.variants, later.best_accuracy, later.started_at) == ({}, 0, None, None)
    assert store.endings("later") == []


def test_endings_are_counted_by_state_and_reason_the_most_frequent_first(store: Store) -> None:
    fill(store)
    failed, stopped = TrialState.FAILED, TrialState.STOPPED
    assert store.endings("groups") == [
        Ending(failed, "nan", 2), Ending(failed, "", 1), Ending(failed, "out of memory", 1), Ending(stopped, "nan", 1),
    ]  # fmt: skip


def test_an_unknown_study_has_neither_summary_nor_endings(store: Store) -> None:
    for ask in (store.summaries, store.endings):
        with pytest.raises(ValueError, match="did you mean groups"):
            ask("group")


def test_an_empty_record_has_no_summaries(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/empty.db") as empty:
        assert empty.summaries() == []


def test_trials_of_one_code_and_machine_share_their_provenance(store: Store) -> None:
    other = Provenance("other", {"torch": "2.15"}, {"cores": 2, "gpu": None})
    stored = [store.add_trial(complete(seed=seed)) for seed in range(3)]
    stored.append(store.add_trial(complete(seed=3, provenance=other)))
    read = store.trials("groups")
    assert read == stored
    assert read[0].provenance is read[2].provenance
    assert read[0].variant is read[3].variant
    assert read[3].provenance == other


def test_the_epochs_of_some_trials_are_read_alone(store: Store) -> None:
    ids = [store.add_trial(trial(seed=seed)).id for seed in range(3)]
    elsewhere = store.add_trial(trial(study="later")).id
    for number in (2, 1):
        for trial_id in [*ids, elsewhere]:
            store.add_epoch(epoch(trial_id, number))
    found = store.epochs("groups", [ids[2], ids[0], elsewhere])
    assert [(e.trial_id, e.epoch) for e in found] == [(ids[0], 1), (ids[0], 2), (ids[2], 1), (ids[2], 2)]
    assert store.epochs("groups", []) == []
    assert len(store.epochs("groups", range(20_000))) == len(store.epochs("groups")) == 6


def test_descriptions_are_parsed_when_they_are_looked_into(store: Store) -> None:
    store.add_trial(trial())
    described = store.architectures("groups")
    assert described["base"] == architecture("base")
    assert architecture("base") == described["base"]
    assert described["base"].description["stages"][0]["depth"] == 3
    assert (len(described["base"].description), list(described["small"].description)) == (1, ["stages"])


def test_a_description_that_was_not_asked_for_cannot_be_taken_for_an_empty_one(store: Store) -> None:
    store.add_trial(trial())
    found = store.architectures("groups", described=False)
    whole = store.architectures("groups")
    assert list(found) == list(whole)
    assert [dataclasses.replace(record, description={}) for record in found.values()] == [
        dataclasses.replace(record, description={}) for record in whole.values()
    ]
    for look in (len, dict, lambda description: description["stages"]):
        with pytest.raises(RuntimeError, match="was not read"):
            look(found["base"].description)


def test_a_study_is_described_whatever_its_settings_lack(store: Store) -> None:
    store.add_study(study("bare", space={}, data={}, fidelity={}))
    assert store.summaries("bare")[0].study.space == {}
