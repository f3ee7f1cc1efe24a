"""What the store keeps, gives back and refuses, on each kind of database."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from db_examples import (
    architecture,
    artifact,
    complete,
    epoch,
    latency,
    study,
    trial,
    with_study,
)

from db import Store, TrialEnd, TrialRecord, TrialState, check_name
from db.rows import columns_of
from db.schema import Base

RESULT: dict[str, Any] = {
    "epochs_run": 2,
    "val_accuracy": 0.5,
    "val_loss": 1.0,
    "train_seconds": 2.0,
    "reason": None,
}
NO_RESULT: dict[str, Any] = {"epochs_run": 0, "val_accuracy": None, "val_loss": None, "train_seconds": None}


def added(store: Store, record: TrialRecord) -> int:
    stored = store.add_trial(record)
    assert stored.id is not None
    return stored.id


def test_everything_comes_back_as_it_was_stored_from_another_store(store: Store, url: str) -> None:
    first = store.add_trial(trial())
    assert first.id is not None
    second = store.add_trial(complete(reused_from=None, retry_of=first.id))
    store.add_epoch(epoch(first.id))
    store.add_artifact(artifact(first.id))
    with Store.open(url, create=False) as again:
        assert replace(again.study("groups"), created_at=None) == study()
        assert again.studies() == [store.study("groups")]
        assert again.trials("groups") == [first, second]
        assert again.epochs("groups") == [epoch(first.id)]
        assert again.artifacts("groups") == [artifact(first.id)]
        assert again.architectures("groups") == {name: architecture(name) for name in ("base", "small")}


def test_json_comes_back_whole(store: Store) -> None:
    odd = {
        "ä 😀": [1, 2.0, 1e-300, 0.1 + 0.2, 2**62, True, None, "", {"": {}}, []],
        "z": 1,
        "a": {"nested": [[1]]},
    }
    stored = store.add_trial(trial(variant=odd))
    variant = store.trials("groups")[0].variant
    assert variant == stored.variant == odd
    assert repr(variant) == repr(odd), "types and the order of keys stay as well"


def test_tuples_in_settings_are_stored_as_lists(store: Store) -> None:
    assert store.add_trial(trial(variant={"groups": (2, 2)})).variant == {"groups": [2, 2]}


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"lr": math.nan}, r"variant\.lr"),
        ({"a": [1, {"b": math.inf}]}, r"variant\.a\[1\]\.b"),
        ({1: "a"}, "variant"),
        ({"path": Path("x")}, r"variant\.path"),
    ],
)
def test_what_json_would_not_give_back_is_refused_by_its_place(store: Store, value: Any, place: str) -> None:
    with pytest.raises(ValueError, match=f"^{place} must be JSON"):
        store.add_trial(trial(variant=value))
    assert store.trials("groups") == []


def test_columns_are_the_fields_of_the_records() -> None:
    samples = [study(), architecture(), latency(), trial(), epoch(1), artifact(1)]
    tables = ["studies", "architectures", "latencies", "trials", "epochs", "artifacts"]
    for record, table in zip(samples, tables, strict=True):
        assert set(columns_of(record)) == set(Base.metadata.tables[f"tx_{table}"].columns.keys())


def test_times_are_given_in_utc(store: Store) -> None:
    before = datetime.now(UTC)
    elsewhere = datetime(2025, 5, 1, 12, tzinfo=timezone(timedelta(hours=5)))
    assert store.add_trial(trial(started_at=elsewhere)).started_at == elsewhere
    stored = store.add_trial(complete())
    assert stored.started_at is not None
    assert stored.finished_at is not None
    assert before <= stored.started_at <= stored.finished_at <= datetime.now(UTC)
    assert [found.started_at.tzinfo for found in store.trials("groups") if found.started_at] == [UTC, UTC]
    assert store.study("groups").created_at is not None


def test_a_time_without_zone_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="started_at must have a time zone"):
        store.add_trial(trial(started_at=datetime(2025, 5, 1)))


def test_a_study_of_the_same_settings_is_the_stored_one(store: Store) -> None:
    stored = store.study("groups")
    assert store.add_study(study(command="again", created_at=datetime.now(UTC))) == stored
    assert store.studies() == [stored]


def test_a_study_of_other_settings_is_refused_and_told_apart(store: Store) -> None:
    stored = store.study("groups")
    recipe = {"optimiser": {"lr": 0.01, "betas": [0.9, 0.999]}, "decay": 1}
    other = study(recipe=recipe, objectives=("gmacs", "val_accuracy"), baseline_arch_id="small")
    with pytest.raises(ValueError, match="study=NAME") as caught:
        store.add_study(other)
    assert "recipe.optimiser.lr: 0.001 -> 0.01, " in str(caught.value)
    assert "recipe.label_smoothing: 0.1 -> (absent), recipe.decay: (absent) -> 1, and 2 more" in str(caught.value)
    assert "betas" not in str(caught.value)
    assert store.study("groups") == stored


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 65, "..", "ä", "a\n"])
def test_a_study_has_a_plain_name(store: Store, name: str) -> None:
    with pytest.raises(ValueError, match="the name of a study must be 1 to 64"):
        store.add_study(study(name))


def test_a_name_that_is_refused_is_answered_with_one_that_is_not() -> None:
    assert check_name("study", "A-1_b.c") == "A-1_b.c"
    with pytest.raises(ValueError, match="try 'my-sweep'"):
        check_name("study", "my sweep!")


def test_an_unknown_study_is_answered_with_the_nearest_names(store: Store) -> None:
    with pytest.raises(ValueError, match=r"no study named 'group' in .*did you mean groups"):
        store.study("group")
    for ask in (store.trials, store.epochs, store.artifacts, store.architectures):
        with pytest.raises(ValueError, match="known are groups"):
            ask("zzz")
    with pytest.raises(ValueError, match="known are groups"):
        store.interrupt_running("zzz", "Ctrl-C")


def test_an_empty_store_says_that_it_is_empty(url: str) -> None:
    with Store.open(url) as empty:
        assert empty.studies() == []
        empty.add_architectures([])
        with pytest.raises(ValueError, match="run a sweep first"):
            empty.study("groups")


def test_an_architecture_stays_as_it_was_first_stored(store: Store) -> None:
    store.add_architectures([architecture("base", params=1), architecture("new")])
    store.add_trial(trial(arch_id="new"))
    assert store.architectures("groups") == {name: architecture(name) for name in ("base", "new", "small")}


def test_thousands_of_architectures_are_stored_at_once(store: Store) -> None:
    store.add_architectures(architecture(f"a{number}") for number in range(10_000))
    store.add_trial(trial(arch_id="a9999"))
    assert "a9999" in store.architectures("groups")


@pytest.mark.parametrize(
    ("record", "what"),
    [
        (trial(study="none"), "study must name a stored study, got 'none'"),
        (trial(arch_id="none"), "arch_id must name a stored architecture"),
        (trial(trained_arch_id="none"), "trained_arch_id must name a stored architecture"),
        (trial(retry_of=99), "retry_of must name a stored trial, got 99"),
        (complete(reused_from=99), "reused_from must name a stored trial"),
        (trial(id=5), "id is given by the store"),
    ],
)
def test_a_trial_names_what_is_stored(store: Store, record: TrialRecord, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        store.add_trial(record)
    assert store.trials("groups") == []


def test_a_study_names_a_stored_baseline(store: Store) -> None:
    with pytest.raises(ValueError, match="baseline_arch_id must name a stored architecture, got 'none'"):
        store.add_study(study("new", baseline_arch_id="none"))


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"val_accuracy": None}, "val_accuracy between 0 and 1"),
        ({"val_accuracy": math.nan}, "val_accuracy between 0 and 1"),
        ({"val_accuracy": 50.0}, "val_accuracy between 0 and 1"),
        ({"val_loss": math.inf}, "val_loss must be a finite number"),
        ({"epochs_run": 1}, "ran all its epochs, got 1 of 2"),
        ({"epochs_run": 3}, "between 0 and epochs_planned"),
        ({"state": TrialState.STOPPED, "epochs_run": 1}, "only a COMPLETE trial has a val_accuracy"),
    ],
)
def test_numbers_that_contradict_the_state_are_refused(store: Store, changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        store.add_trial(replace(complete(), **changes))
    running = added(store, trial())
    result = {"state": TrialState.COMPLETE, **RESULT, **changes}
    with pytest.raises(ValueError, match=f"^trial {running}: .*{rule}"):
        store.finish_trial(TrialEnd(running, **result))
    assert store.trials("groups")[0].state is TrialState.RUNNING


def test_a_trial_finishes_once(store: Store) -> None:
    running = added(store, trial())
    finished = store.finish_trial(TrialEnd(running, TrialState.COMPLETE, **RESULT))
    assert finished.state is TrialState.COMPLETE
    assert finished.finished_at is not None
    assert {name: getattr(finished, name) for name in RESULT} == RESULT
    assert store.finish_trial(TrialEnd(running, TrialState.COMPLETE, **RESULT)) == finished
    with pytest.raises(ValueError, match=r"trial 1 ended otherwise \(val_loss: 1.0 -> 9.0\)"):
        store.finish_trial(TrialEnd(running, TrialState.COMPLETE, **{**RESULT, "val_loss": 9.0}))
    with pytest.raises(ValueError, match='state: "COMPLETE" -> "FAILED"'):
        store.finish_trial(TrialEnd(running, TrialState.FAILED, **NO_RESULT, reason="boom"))
    assert store.trials("groups") == [finished]


def test_a_trial_does_not_finish_as_running_nor_unknown(store: Store) -> None:
    running = added(store, trial())
    with pytest.raises(ValueError, match="no trial finishes as RUNNING"):
        store.finish_trial(TrialEnd(running, TrialState.RUNNING, **RESULT))
    with pytest.raises(ValueError, match="must name a stored trial, got 77"):
        store.finish_trial(TrialEnd(77, TrialState.COMPLETE, **RESULT))


def test_only_running_trials_of_the_study_are_interrupted(store: Store) -> None:
    with_study(store, "elsewhere")
    done, fresh, started = (added(store, record) for record in (complete(), trial(), trial(epochs_planned=5)))
    store.add_trial(trial(study="elsewhere"))
    for number in (1, 2, 3):
        store.add_epoch(epoch(started, number))
    interrupted = store.interrupt_running("groups", "Ctrl-C")
    assert [(found.id, found.epochs_run, found.reason) for found in interrupted] == [
        (fresh, 0, "Ctrl-C"),
        (started, 3, "Ctrl-C"),
    ]
    assert store.trials("groups")[1:] == interrupted
    assert [found.state for found in interrupted] == [TrialState.INTERRUPTED] * 2
    assert all(found.finished_at for found in interrupted)
    assert store.trials("groups")[0].id == done
    assert store.trials("groups")[0].state is TrialState.COMPLETE
    assert store.trials("elsewhere")[0].state is TrialState.RUNNING
    assert store.interrupt_running("groups", "again") == []


def test_a_replayed_epoch_changes_nothing(store: Store) -> None:
    running = added(store, trial())
    store.add_epoch(epoch(running, 2))
    store.add_epoch(epoch(running, 1))
    store.add_epoch(epoch(running, 2, val_accuracy=0.9))
    assert store.epochs("groups") == [epoch(running, 1), epoch(running, 2)]


def test_an_epoch_whose_loss_is_no_number_is_kept(store: Store) -> None:
    running = added(store, trial())
    store.add_epoch(epoch(running, train_loss=math.nan, val_loss=math.inf))
    found = store.epochs("groups")[0]
    assert math.isnan(found.train_loss)
    assert found.val_loss == math.inf


@pytest.mark.parametrize("number", [0, 3])
def test_epochs_are_those_that_were_planned(store: Store, number: int) -> None:
    running = added(store, trial())
    with pytest.raises(ValueError, match="between 1 and epochs_planned = 2"):
        store.add_epoch(epoch(running, number))
    with pytest.raises(ValueError, match="must name a stored trial, got 77"):
        store.add_epoch(epoch(77))


def test_only_a_trained_complete_trial_answers_for_its_key(store: Store) -> None:
    with_study(store, "elsewhere")
    assert store.find_complete("key") is None
    store.add_trial(trial())
    store.add_trial(trial(state=TrialState.STOPPED, epochs_run=1))
    store.add_trial(complete(spec_key="other"))
    assert store.find_complete("key") is None
    first = store.add_trial(complete(study="elsewhere"))
    store.add_trial(complete(reused_from=first.id))
    store.add_trial(complete())
    assert store.find_complete("key") == first


def test_a_result_is_reused_only_for_its_own_key(store: Store) -> None:
    done, running = added(store, complete()), added(store, trial())
    for record in (complete(spec_key="other", reused_from=done), complete(reused_from=running)):
        with pytest.raises(ValueError, match="must be that of a COMPLETE trial with spec_key"):
            store.add_trial(record)


def test_a_later_artifact_of_the_same_kind_takes_the_place(store: Store) -> None:
    running = added(store, trial())
    store.add_artifact(artifact(running))
    store.add_artifact(artifact(running, kind="log", metadata={}))
    store.add_artifact(artifact(running, sha256="cd", metadata={"dtype": "bfloat16"}))
    assert store.artifacts("groups") == [
        artifact(running, kind="log", metadata={}),
        artifact(running, sha256="cd", metadata={"dtype": "bfloat16"}),
    ]
    with pytest.raises(ValueError, match="must name a stored trial, got 77"):
        store.add_artifact(artifact(77))


def test_errors_are_one_line(store: Store) -> None:
    with pytest.raises(ValueError, match="no study") as caught:
        store.study("two\nlines")
    assert "\n" not in str(caught.value)
