"""Real sweeps whose driver is killed, again and again: the same command goes on, and nothing that finished is lost."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from sweeps import CONCURRENT, complete, require_whole, rows, said, stored, ticked, wait_for
from zygote import Zygote, family

from db import TrialState

pytestmark = pytest.mark.ray
STUDY = "idconv_groups-digits"
VARIANTS = 8
WORDS = ("space=idconv_groups", "data=digits", "proxy.image_size=16", "checkpoint_s=0", "resources.cpus=1")
KILLS = 20


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'runs' / 'transxnet.db'}"


def wait_until_it_trains(zygote: Zygote, url: str, driver: int, before: int) -> None:
    wait_for(lambda: stored(url, "epochs") > before or zygote.ended(driver))


def test_a_driver_killed_at_twenty_random_moments_loses_nothing(zygote: Zygote, tmp_path: Path) -> None:
    words = (*WORDS, "seeds=5", "proxy.epochs=4", f"resources.max_concurrent={CONCURRENT}")
    url, chance = url_of(tmp_path), random.Random(0)
    finished: dict[int | None, object] = {}
    interrupted = 0
    for _ in range(KILLS):
        before = stored(url, "epochs")
        driver = zygote.start(tmp_path, *words)
        if chance.random() < 0.8:  # most moments while trials run, some before
            wait_until_it_trains(zygote, url, driver, before)
        time.sleep(chance.uniform(0, 1.5))
        assert zygote.kill(driver) in (-signal.SIGKILL, 0)
        trials = rows(url, STUDY)
        now = complete(trials)
        assert {id: now.get(id) for id in finished} == finished, "a finished trial was lost or changed"
        finished = dict(now)
        assert sum(trial.state is TrialState.RUNNING for trial in trials) <= CONCURRENT
        again = sum(trial.state is not TrialState.COMPLETE for trial in trials)
        assert again - interrupted <= CONCURRENT, "more trials than ran at once must run again"
        interrupted = again
    assert zygote.wait(zygote.start(tmp_path, *words)) == 0, said(tmp_path)
    attempts = require_whole(url, STUDY, VARIANTS, 5)
    retries = [trial for trials in attempts.values() for trial in trials if trial.retry_of is not None]
    assert retries, "no kill met a running trial"
    assert any(trial.resumed_epochs for trial in retries), "none went on from its checkpoint"
    right = ticked(url, STUDY)
    assert all(trials[-1].val_accuracy == right[trials[-1].id] for trials in attempts.values())
    assert not (tmp_path / "runs" / STUDY / "checkpoints").exists()


def test_a_minute_after_its_driver_was_killed_no_process_of_a_sweep_lives(zygote: Zygote, tmp_path: Path) -> None:
    driver = zygote.start(tmp_path, *WORDS, "seeds=5", "proxy.epochs=100", WHOLE_RAY="yes")
    wait_for(lambda: stored(url_of(tmp_path), "trials") > 0)
    assert len(family(driver)) > 3, "Ray's processes belong to the session"
    zygote.kill(driver)
    wait_for(lambda: not family(driver), timeout_s=60)


@pytest.mark.parametrize("tick_s", ["0.25", "60"], ids=["between epochs", "in the middle of a long epoch"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_a_sweep_in_time_with_its_trials_checkpointed(
    zygote: Zygote, tmp_path: Path, number: int, tick_s: str
) -> None:
    words = (*WORDS, "seeds=1", "trials=2", "proxy.epochs=40")
    url = url_of(tmp_path)
    driver = zygote.start(tmp_path, *words, TICK_S=tick_s)
    wait_for(lambda: stored(url, "trials") == 2)
    if tick_s != "60":
        wait_for(lambda: stored(url, "epochs") >= 8)
    began = time.monotonic()
    os.kill(driver, number)
    assert zygote.wait(driver) == 128 + number, said(tmp_path)
    assert time.monotonic() - began < 15
    assert [trial.state for trial in rows(url, STUDY)] == [TrialState.INTERRUPTED] * 2
    assert "the same command goes on:\n  python -m experiments.sweep" in said(tmp_path)
    assert "Traceback" not in said(tmp_path)
    wait_for(lambda: not family(driver), timeout_s=10)
    kept = list((tmp_path / "runs" / STUDY).glob("checkpoints/*-epoch-*"))
    assert len(kept) == (2 if tick_s == "0.25" else 0)
