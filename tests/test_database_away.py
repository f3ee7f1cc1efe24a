"""PostgreSQL goes away in the middle of a real sweep: for a moment, and for good."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from postgres import PostgresServer
from zygote import Zygote

from db import LeadRecord, Spool, Store, TrialEnd, TrialRecord, TrialState
from db.spool import Later, read_kept
from experiments.optuna_tables import open_optuna

pytestmark = pytest.mark.ray

STUDY = "away"
EPOCHS = 3
"""Of a quarter of a second each."""
TRIALS = 12
WORDS = (
    "space=tiny_demo",
    "data=digits",
    f"study={STUDY}",
    "proxy.image_size=16",
    f"proxy.epochs={EPOCHS}",
    "seeds=2",
    "resources.max_concurrent=2",
    "checkpoint_s=0",
)


def until(what: Callable[[], object], timeout_s: float = 90) -> float:
    """Wait for it; gives the seconds that it took."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < timeout_s, "it never came"
        time.sleep(0.1)
    return time.monotonic() - began


def ended(store: Store) -> list[TrialRecord]:
    trials = store.trials(STUDY) if STUDY in {study.name for study in store.studies()} else []
    return [trial for trial in trials if trial.state is TrialState.COMPLETE]


def assert_nothing_is_lost_or_doubled(url: str, before: list[TrialRecord]) -> None:
    """Every variant and seed has one COMPLETE row with all its epochs, those of `before` as they were then."""
    with Store.open(url) as store:
        trials, epochs = store.trials(STUDY), store.epochs(STUDY)
        complete = ended(store)
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.INTERRUPTED}
    assert len(complete) == len({(trial.arch_id, trial.seed) for trial in complete}) == TRIALS
    assert {trial.id: trial for trial in complete}.items() >= {trial.id: trial for trial in before}.items()
    counted = Counter(epoch.trial_id for epoch in epochs)
    assert all(counted[trial.id] == EPOCHS for trial in complete)
    last = {epoch.trial_id: epoch.val_accuracy for epoch in epochs if epoch.epoch == EPOCHS}
    assert all(last[trial.id] == trial.val_accuracy for trial in complete)


def assert_the_view_is_complete(url: str) -> None:
    with Store.open(url) as store:
        variants = {trial.arch_id for trial in store.trials(STUDY)}
    shown = optuna.load_study(study_name=STUDY, storage=open_optuna(url)).trials
    complete = [trial for trial in shown if trial.state is optuna.trial.TrialState.COMPLETE]
    assert sorted(trial.user_attrs["arch_id"] for trial in complete) == sorted(variants)
    assert not [trial for trial in shown if not trial.state.is_finished()]


def test_a_sweep_goes_on_when_the_server_crashes_and_comes_back(
    zygote: Zygote, postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.url(STUDY)
    sweep = zygote.start(tmp_path, *WORDS, f"storage.url={url}")
    with Store.open(url) as store:
        until(lambda: len(ended(store)) >= 3)
        postgres.stop("immediate")
        time.sleep(1)
        postgres.start()
        back = time.monotonic()
        store._engine.dispose()
        before = ended(store)
        assert len(before) < TRIALS - 2, "it is in the middle"
        until(lambda: len(ended(store)) > len(before))
        assert time.monotonic() - back < 30
    assert zygote.wait(sweep) == 0, (tmp_path / "said").read_text()
    said = (tmp_path / "said").read_text()
    assert said.count("the database does not answer; waiting for it") == 1
    assert "caution: optuna-dashboard" not in said
    assert_nothing_is_lost_or_doubled(url, before)
    assert_the_view_is_complete(url)
    with Store.open(url) as store:
        assert len(store.trials(STUDY)) == TRIALS, "nothing was run again"
        assert store.lead(STUDY) is None
    assert not list(tmp_path.glob("runs/away/spool-*"))


def test_what_was_in_memory_when_the_server_went_for_good_is_stored_once_by_the_next_start(
    zygote: Zygote, postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.url(STUDY)
    words = (*WORDS, f"storage.url={url}", "storage.wait_s=2")
    sweep = zygote.start(tmp_path, *words)
    with Store.open(url) as store:
        until(lambda: len(ended(store)) >= 3)
        before = ended(store)
    postgres.stop("immediate")
    assert zygote.wait(sweep) == 3, (tmp_path / "said").read_text()
    said = (tmp_path / "said").read_text()
    errors = [line for line in said.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert "must be reachable" in errors[0]
    assert "the same command goes on" in errors[0]
    assert "Traceback" not in said
    (spool,) = tmp_path.glob("runs/away/spool-*.jsonl")
    kept = kept_in(spool)
    assert f"{len(kept)} writes are kept in {spool.relative_to(tmp_path)}" in said
    shutil.copy(spool, tmp_path / "copy")

    postgres.start()
    with Store.open(url) as store:
        assert not set(map(repr, kept)) & set(map(repr, rows(store))), "none was stored"
    assert zygote.wait(zygote.start(tmp_path, *words)) == 0, (tmp_path / "said").read_text()
    assert (
        f"{len(kept)} writes that an earlier run could not make are in the record now"
        in (tmp_path / "said").read_text()
    )
    assert not spool.exists()
    assert_nothing_is_lost_or_doubled(url, before)
    assert_the_view_is_complete(url)
    with Store.open(url) as store:
        stored = rows(store)
        assert kept
        assert all(write in stored for write in kept)
        replay(store, tmp_path / "copy")
        assert rows(store) == stored


def kept_in(file: Path) -> list[Later]:
    """What a spool holds."""
    return [write for _, write in read_kept(file)]


def rows(store: Store) -> list[Later]:
    """The record's epochs, artifacts, and its trials as ends."""
    trials = store.trials(STUDY)
    fields = list(TrialEnd.__dataclass_fields__)[1:]
    ends = [TrialEnd(trial.id or 0, **{name: getattr(trial, name) for name in fields}) for trial in trials]
    return [*store.epochs(STUDY), *store.artifacts(STUDY), *ends]


def replay(store: Store, copy: Path) -> None:
    """As the next start does."""
    spool = Spool(copy.parent, store)
    shutil.copy(copy, spool.file)
    lead = store.take_lead(LeadRecord(STUDY, "a" * 32, "host", 1))
    assert spool.replay(lead).written > 0
    assert not spool.file.exists()
    store.give_up_lead(lead)
