"""The program behind zygote.py: it imports what sweeps need, and forks one for each line that it reads."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import experiments.sweep  # first: it sets what Ray reads when it is imported

# isort: split
import ray
from fork_server import serve, write_to
from lean_ray import start_lean_rays
from ray import tune
from ray.tune.result import SHOULD_CHECKPOINT

import experiments.conclude
import experiments.conduct  # what a sweep imports late: forks have it at once


class TickTrial(tune.Trainable):  # type: ignore[misc]
    """Takes TICK_S seconds an epoch. Its accuracy is a hash over all epochs so far: only a true checkpoint goes on."""

    places: str | None = None
    """A file to which each trial adds a line: the node that it runs on, and whether on a GPU."""

    def setup(self, config: dict[str, Any]) -> None:
        self.spec = config["spec"]
        if self.places is not None:
            with open(self.places, "a") as file:
                file.write(f"{ray.get_runtime_context().get_node_id()} {config['on_gpu']}\n")
        self.key = json.dumps([self.spec["arch"], self.spec["seed"]], sort_keys=True)
        self.tick_s = float(os.environ.get("TICK_S", "0.25"))
        self.is_saved = config["checkpoint_s"] == 0  # after every epoch; else where the sweep asks for it
        self.done, self.value = 0, ""
        if config["checkpoint"] is not None:
            self.load_checkpoint(config["checkpoint"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        time.sleep(self.tick_s)
        self.done += 1
        self.value = hashlib.sha256(f"{self.value}{self.key}{self.done}".encode()).hexdigest()
        accuracy = int(self.value[:8], 16) / 16**8
        measured = {"train_loss": 1.0, "val_loss": 1.0, "learning_rate": 0.1, "seconds": self.tick_s}
        done = self.done >= self.spec["fidelity"]["epochs"]
        saves = self.is_saved and not done
        return {"epoch": self.done, "val_accuracy": accuracy, **measured, "done": done, SHOULD_CHECKPOINT: saves}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        (Path(checkpoint_dir) / "model.safetensors").write_bytes(b"weights")
        (Path(checkpoint_dir) / "state").write_text(json.dumps([self.done, self.value]))

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        self.done, self.value = json.loads((Path(checkpoint_dir) / "state").read_text())


def sweep(folder: str, words: list[str], environment: dict[str, str]) -> None:
    """Become `python -m experiments.sweep WORDS`, as far as anybody can tell."""
    from functools import partial
    from unittest import mock

    from space.cli import run_entry_point

    os.setsid()
    os.chdir(folder)
    os.environ.update(environment)
    TickTrial.places = environment.get("TICK_PLACES")
    write_to("said")
    sys.stdin = open(os.devnull)  # noqa: SIM115
    sys.argv = ["sweep", *words]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if "WHOLE_RAY" not in environment:
        start_lean_rays()
    ticking = partial(experiments.sweep.sweep, trainable=TickTrial)
    with mock.patch("experiments.sweep.sweep", ticking):
        run_entry_point(experiments.sweep.main)


if __name__ == "__main__":
    serve(sweep)
