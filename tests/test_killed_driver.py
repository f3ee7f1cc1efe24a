"""Real sweeps whose driver is killed, again and again: the same command goes on, and nothing that finished is lost."""

from __future__ import annotations

import os
import random
import signal
import time
from functools import partial
from pathlib import Path

import psutil
import pytest
from sweeps import CONCURRENT, complete, require_whole, rows, said, stored, ticked, wait_for
from zygote import Zygote, family

from db import TrialState

pytestmark = pytest.mark.ray
STUDY = "idconv_groups-digits"
VARIANTS = 8
WORDS = ("space=idconv_groups", "data=digits", "proxy.image_size=16", "resources.cpus=1")
KILLS = 20
REAPER = "experiments.reaper"


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'runs' / 'transxnet.db'}"


def has_epochs(url: str, epochs: int) -> bool:
    return stored(url, "epochs") >= epochs


def wait_until_it_trains(zygote: Zygote, url: str, driver: int, before: int) -> None:
    wait_for(lambda: has_epochs(url, before + 1) or zygote.ended(driver))


def test_a_driver_killed_at_twenty_random_moments_loses_nothing(zygote: Zygote, tmp_path: Path) -> None:
    words = (*WORDS, "checkpoint_s=0", "seeds=5", "proxy.epochs=6", f"resources.max_concurrent={CONCURRENT}")
    url, chance = url_of(tmp_path), random.Random(0)
    finished: dict[int | None, object] = {}
    interrupted = met = 0
    for _ in range(KILLS):
        before = stored(url, "epochs")
        driver = zygote.start(tmp_path, *words)
        if chance.random() < 0.8:  # most moments while trials run, some before
            wait_until_it_trains(zygote, url, driver, before)
        time.sleep(chance.uniform(0, 1.5))
        assert zygote.kill(driver) == -signal.SIGKILL, "it must not have ended by itself"
        trials = rows(url, STUDY)
        now = complete(trials)
        assert {id: now.get(id) for id in finished} == finished, "a finished trial was lost or changed"
        finished = dict(now)
        running = sum(trial.state is TrialState.RUNNING for trial in trials)
        assert running <= CONCURRENT
        met += running > 0
        again = sum(trial.state is not TrialState.COMPLETE for trial in trials)
        assert again - interrupted <= CONCURRENT, "more trials than ran at once must run again"
        interrupted = again
    assert zygote.wait(zygote.start(tmp_path, *words)) == 0, said(tmp_path)
    attempts = require_whole(url, STUDY, VARIANTS, 5)
    retries = [trial for trials in attempts.values() for trial in trials if trial.retry_of is not None]
    assert met > KILLS / 2, "most kills must meet a running trial"
    assert any(trial.resumed_epochs for trial in retries), "none went on from its checkpoint"
    right = ticked(url, STUDY)
    assert all(trials[-1].val_accuracy == right[trials[-1].id] for trials in attempts.values())
    assert not (tmp_path / "runs" / STUDY / "checkpoints").exists()


def reapers() -> set[psutil.Process]:
    """The processes that outlive a sweep for some seconds, in sessions of their own."""
    return {process for process in psutil.process_iter(["cmdline"]) if REAPER in (process.info["cmdline"] or [])}


def test_a_minute_after_its_driver_was_killed_no_process_of_a_sweep_lives(zygote: Zygote, tmp_path: Path) -> None:
    before = reapers()
    driver = zygote.start(tmp_path, *WORDS, "seeds=5", "proxy.epochs=100", WHOLE_RAY="yes")
    wait_for(lambda: stored(url_of(tmp_path), "trials") > 0)
    assert len(family(driver)) > 3, "Ray's processes belong to the session"
    (reaper,) = (found for found in reapers() - before if str(driver) in found.cmdline())
    folder = Path(reaper.cmdline()[-1])
    assert (folder / "token").exists()
    zygote.kill(driver)
    wait_for(lambda: not family(driver) and not reaper.is_running() and not folder.exists(), timeout_s=60)


@pytest.mark.parametrize("tick_s", ["0.25", "60"], ids=["between epochs", "in the middle of a long epoch"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_a_sweep_in_time_with_its_trials_checkpointed(
    zygote: Zygote, tmp_path: Path, number: int, tick_s: str
) -> None:
    words = (*WORDS, "checkpoint_s=1000", "seeds=1", "trials=2", "proxy.epochs=40")
    url = url_of(tmp_path)
    driver = zygote.start(tmp_path, *words, TICK_S=tick_s)
    wait_for(lambda: stored(url, "trials") == 2)
    if tick_s != "60":
        wait_for(lambda: has_epochs(url, 8))
    began = time.monotonic()
    os.kill(driver, number)
    assert zygote.wait(driver) == 128 + number, said(tmp_path)
    assert time.monotonic() - began < 15
    trials = rows(url, STUDY)
    assert [trial.state for trial in trials] == [TrialState.INTERRUPTED] * 2
    assert "the same command goes on:\n  python -m experiments.sweep" in said(tmp_path)
    assert "Traceback" not in said(tmp_path)
    wait_for(lambda: not family(driver), timeout_s=10)
    kept = {path.name for path in (tmp_path / "runs" / STUDY).glob("checkpoints/*")}
    assert kept == {f"{trial.uid}-epoch-{trial.epochs_run}" for trial in trials if trial.epochs_run}
    assert len(kept) == (2 if tick_s == "0.25" else 0)


def test_one_worker_suggests_and_finds_the_same_across_kills(zygote: Zygote, tmp_path: Path) -> None:
    words = (*WORDS, "search=tpe", "trials=6", "seeds=1", "proxy.epochs=2", "resources.max_concurrent=1")
    found = []
    for name, kills in (("killed", (2, 7)), ("whole", ())):
        folder = tmp_path / name
        folder.mkdir()
        for epochs in kills:
            driver = zygote.start(folder, *words)
            wait_for(partial(has_epochs, url_of(folder), epochs))
            assert zygote.kill(driver) == -signal.SIGKILL
        assert zygote.wait(zygote.start(folder, *words)) == 0, said(folder)
        done = complete(rows(url_of(folder), STUDY)).values()
        found.append([(trial.arch_id, trial.seed, trial.val_accuracy) for trial in done])
    assert len(found[0]) == 6
    assert found[0] == found[1]
