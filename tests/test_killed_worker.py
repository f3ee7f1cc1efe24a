"""A worker that is killed again and again: its trial goes on from its checkpoint, and comes to the very same result."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ray import tune
from sweeps import require_whole, rows
from test_ray_run import run

from db import EpochRecord, Store, TrialState
from experiments.trainable import ProxyTrial

pytestmark = pytest.mark.usefixtures("shared_ray")

STUDY = "tiny_demo-digits"
KILLS = 10
WORDS = ("trials=1", "proxy.epochs=12", "proxy.data_share=0.2", "checkpoint_s=0", "resources.max_concurrent=1")


def mortal(folder: Path) -> type[ProxyTrial]:
    class Mortal(ProxyTrial):
        """Tells the process that trains, and leaves time to kill it between epochs."""

        def step(self) -> dict[str, Any]:
            (folder / "worker").write_text(str(os.getpid()))
            found = super().step()
            time.sleep(0.2)
            return found

    return Mortal


def epochs_of(folder: Path) -> list[EpochRecord]:
    with Store.open(f"sqlite:///{folder / 'sweeps.db'}") as store:
        (trial,) = (trial for trial in store.trials(STUDY) if trial.state is TrialState.COMPLETE)
        assert trial.id is not None
        return store.epochs(STUDY, [trial.id])


@contextmanager
def killing(folder: Path) -> Iterator[list[int]]:
    """Kill the worker after each further epoch that is stored, KILLS times."""
    killed: list[int] = []
    ended = threading.Event()

    def kill() -> None:
        farthest = 0
        while len(killed) < KILLS and not ended.wait(0.02):
            kept = list((folder / "runs" / STUDY / "checkpoints").glob("*-epoch-*"))
            newest = max((int(path.name.rpartition("-")[2]) for path in kept), default=0)
            worker = int((folder / "worker").read_text() or 0) if (folder / "worker").exists() else 0
            if newest > farthest and worker not in (0, *killed):
                os.kill(worker, signal.SIGKILL)
                killed.append(worker)
                farthest = newest

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def ray_ends(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How Ray's own trials ended."""
    found: Counter[str] = Counter()
    fit: Callable[[tune.Tuner], tune.ResultGrid] = tune.Tuner.fit

    def counted(tuner: tune.Tuner) -> tune.ResultGrid:
        grid = fit(tuner)
        found.update("error" if result.error else "end" for result in grid)
        return grid

    monkeypatch.setattr(tune.Tuner, "fit", counted)
    return found


def test_a_trial_whose_worker_is_killed_ten_times_ends_as_if_nothing_had_happened(
    tmp_path: Path, ray_ends: Counter[str]
) -> None:
    (tmp_path / "killed").mkdir()
    (tmp_path / "whole").mkdir()
    with killing(tmp_path / "killed") as killed:
        code, said = run(tmp_path / "killed", *WORDS, trainable=mortal(tmp_path / "killed"))
    assert code == 0, said
    assert len(killed) == KILLS
    attempts = require_whole(f"sqlite:///{tmp_path / 'killed' / 'sweeps.db'}", STUDY, variants=1, seeds=1)
    (trials,) = attempts.values()
    assert len(trials) == KILLS + 1
    assert all(trial.resumed_epochs for trial in trials[1:]), "each went on from a checkpoint"
    assert ray_ends == {"error": KILLS, "end": 1}
    assert all((trial.reason or "").startswith("worker: ") for trial in trials[:-1])

    assert run(tmp_path / "whole", *WORDS, "storage.wait_s=10")[0] == 0
    measured = [
        [(epoch.epoch, epoch.train_loss, epoch.val_loss, epoch.val_accuracy) for epoch in epochs_of(tmp_path / name)]
        for name in ("killed", "whole")
    ]
    assert measured[0] == measured[1]
    assert len(rows(f"sqlite:///{tmp_path / 'whole' / 'sweeps.db'}", STUDY)) == 1
