"""A trial as Ray Tune runs it: one network trained epoch by epoch in a worker that is used again for the next."""

from __future__ import annotations

import math
import platform
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from ray import tune
from ray.tune.result import SHOULD_CHECKPOINT

from experiments.checkpoint_files import load_checkpoint, save_checkpoint
from experiments.spec import TrialSpec
from experiments.training import Training, TrainingFailed

_BROKEN_DEVICE: type[Exception] | tuple[()] = getattr(torch, "AcceleratorError", ())
"""What a GPU that cannot go on in this process raises; nothing in a torch that does not tell it apart. No memory left
is another error, after which the process is sound."""
_NO_MEMORY = ("can't allocate memory", "out of memory")
"""How torch says so where it raises a plain RuntimeError."""


class ProxyTrial(tune.Trainable):  # type: ignore[misc]
    """Trains `config["spec"]`, one epoch a step, from `config["checkpoint"]` on if that is a folder.

    The config's `threads`, `kernels` and `on_gpu` say how it is computed; after `checkpoint_s` seconds it asks to be
    saved again.

    A training that cannot go on ends its trial with a `failure` in the result, not with an exception: the worker
    lives on for the next trial and the record gets the reason. An error of the GPU itself goes through: its process
    can compute nothing more, and Ray gives the next trial a new worker.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Called once a worker."""
        torch.set_num_threads(config["threads"])
        self._training: Training | None = None
        self._failure: str | None = None
        self._checkpoint_s: float = config["checkpoint_s"]
        self._saved_at = time.monotonic()
        self._attempt(lambda: self._build(config))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Called for each further trial of a worker."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train an epoch; the result is EpochMetrics, or `failure`, with `done`."""
        metrics: dict[str, Any] = {}
        if self._failure is None:
            assert self._training is not None
            training = self._training
            self._attempt(lambda: metrics.update(training.run_epoch().to_dict()))
        if self._failure is not None:
            # Ray insists on the metric that its searchers and schedulers know; no number is taken from a failure.
            return {"failure": self._failure, "val_accuracy": math.nan, "done": True}
        assert self._training is not None
        done = self._training.epoch >= self._training.spec.fidelity.epochs
        is_due = time.monotonic() - self._saved_at >= self._checkpoint_s
        return {**metrics, "done": done, SHOULD_CHECKPOINT: is_due and not done}  # at the end Ray saves unasked

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Weights and state, as in experiments/checkpoint_files.py; nothing of a failure."""
        if self._training is not None and self._failure is None:
            save_checkpoint(self._training, Path(checkpoint_dir))
            self._saved_at = time.monotonic()

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Go on from `save_checkpoint`."""
        assert self._training is not None
        load_checkpoint(self._training, Path(checkpoint_dir))

    def _build(self, config: dict[str, Any]) -> None:
        # A trial that asked for no GPU keeps to its cores: Ray does not hide the GPUs of others from it.
        device = None if config["on_gpu"] else torch.device("cpu")
        self._training = Training(TrialSpec.from_dict(config["spec"]), device, kernels=config["kernels"])
        if config["checkpoint"] is not None:
            load_checkpoint(self._training, Path(config["checkpoint"]))

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except TrainingFailed as failed:
            self._failure = str(failed)
        except _BROKEN_DEVICE:
            raise
        except Exception as error:
            self._failure = explain(error)
            if self._failure.startswith("out of memory"):
                self._training = None  # for the next trial there must be some


def explain(error: Exception) -> str:
    """The reason that the record keeps of what went wrong here: what, where in the code, on which machine."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"({Path(where.filename).name}:{where.lineno}, on {platform.node()})"
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in text.lower() for words in _NO_MEMORY):
        return f"out of memory: {text or type(error).__name__} {place}"
    return f"{type(error).__name__}: {text} {place}"
