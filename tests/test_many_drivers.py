"""Many drivers on one database: each study has one, and no two studies are in each other's way."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from forks import Forks, forking

from db import LeadRecord, Store, TrialState
from experiments.lead import leading
from experiments.optuna_tables import open_optuna

DRIVERS, TRIALS = 8, 50


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with forking("no_op_driver") as started:
        yield started


def test_drivers_of_many_studies_share_a_database(forks: Forks, url: str, tmp_path: Path) -> None:
    names = [f"study-{number}" for number in range(DRIVERS)]
    drivers = {
        name: forks.start("no_op_driver:run", str(tmp_path), url, name, str(TRIALS), said=tmp_path / f"{name}.said")
        for name in names
    }
    for name, driver in drivers.items():
        assert forks.wait(driver, 300) == 0, (tmp_path / f"{name}.said").read_text()
        assert json.loads((tmp_path / f"{name}.said").read_text()) == {"trouble": None}, "and not a word more"
    with Store.open(url) as store:
        for name in names:
            trials = store.trials(name)
            assert Counter(trial.state for trial in trials) == {TrialState.COMPLETE: TRIALS}
            assert len({trial.arch_id for trial in trials}) == TRIALS
            assert not [trial for trial in trials if trial.reused_from or trial.retry_of]
            assert len(store.epochs(name)) == TRIALS * 2
            assert store.lead(name) is None
    for name in names:
        shown = optuna.load_study(study_name=name, storage=open_optuna(url)).trials
        assert Counter(trial.state.name for trial in shown) == {"COMPLETE": TRIALS}
        assert len({trial.user_attrs["arch_id"] for trial in shown}) == TRIALS


def start_leader(forks: Forks, url: str, folder: Path, host: str, expires_s: float = 30) -> int:
    """A process that leads the study `groups`, once it does."""
    said = folder / f"{host}.said"
    process = forks.start("no_op_driver:lead", url, "groups", str(folder / host), host, str(expires_s), said=said)
    deadline = time.monotonic() + 60
    while not said.exists() or "leads" not in said.read_text():
        assert time.monotonic() < deadline, said.read_text()
        time.sleep(0.01)
    return process


def refusal(store: Store, folder: Path, **options: float) -> str:
    """What a second driver is told."""
    with pytest.raises(ValueError, match=r"one sweep at a time, .*; wait for it, or write study=NAME") as caught:  # noqa: SIM117
        with leading(store, "groups", [folder], lambda line: None, **options):
            pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_second_driver_is_refused_at_once_on_the_same_host(
    forks: Forks, store: Store, url: str, tmp_path: Path
) -> None:
    here = os.uname().nodename
    first = start_leader(forks, url, tmp_path, here)
    began = time.monotonic()
    assert f"groups is being run by process {first} on {here};" in refusal(store, tmp_path / "another folder")
    assert f"groups is being run by process {first} on {here};" in refusal(store, tmp_path / here)
    assert time.monotonic() - began < 5
    os.kill(first, signal.SIGSTOP)
    assert f"process {first} on {here}" in refusal(store, tmp_path / "another folder", expires_s=0), "it lives"
    forks.kill(first)
    with leading(store, "groups", [tmp_path / here], lambda line: None) as lead:
        assert lead.process == os.getpid()


def test_a_driver_of_another_host_is_refused_while_the_first_gives_signs_of_life(
    forks: Forks, store: Store, url: str, tmp_path: Path
) -> None:
    first = start_leader(forks, url, tmp_path, "far-away")
    told: list[str] = []
    assert f"groups is being run by process {first} on far-away;" in refusal(store, tmp_path / "here")
    forks.kill(first)
    with leading(store, "groups", [tmp_path / "here"], told.append, expires_s=1) as lead:
        assert lead.process == os.getpid()
    assert len(told) <= 1


def test_a_silent_driver_is_taken_for_dead_by_the_databases_clock(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = store.take_lead(LeadRecord("groups", "a" * 32, "far-away", 7, "boot"))
    if store.url.startswith("postgresql"):  # whose clock it is, not this machine's
        monkeypatch.setattr("db.leads.now", lambda: 1 / 0)
    told: list[str] = []
    began = time.monotonic()
    with leading(store, "groups", [tmp_path], told.append, expires_s=2) as lead:
        assert 1 < time.monotonic() - began < 10
        assert store.lead("groups") is not None
        assert lead.holder != silent.holder
        assert lead.renewed_at is not None
    assert len(told) == 1
    assert told[0].startswith("process 7 on far-away led this study 0 s ago; waiting")


def test_of_two_that_find_a_dead_driver_one_leads(store: Store) -> None:
    dead = store.take_lead(LeadRecord("groups", "a" * 32, "far-away", 7))
    second = store.take_lead(LeadRecord("groups", "b" * 32, "host", 8), instead_of=dead)
    third = store.take_lead(LeadRecord("groups", "c" * 32, "host", 9), instead_of=dead)
    assert (second.process, third.process) == (8, 8)
    store.renew_lead(second)
    assert store.take_lead(LeadRecord("groups", "c" * 32, "host", 9), instead_of=second).process == 8, "it lives"
