"""A training in a worker, whose errors are a result: the worker lives on for the next trial. Knows no Ray."""

from __future__ import annotations

import platform
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from experiments.checkpoint_files import load_checkpoint, save_checkpoint
from experiments.spec import TrialSpec
from experiments.training import Training, TrainingFailed

_BROKEN_DEVICE: type[Exception] | tuple[()] = getattr(torch, "AcceleratorError", ())
"""What a GPU that cannot go on in this process raises; nothing in a torch that does not tell it apart. No memory left
is another error, after which the process is sound."""
_NO_MEMORY = ("can't allocate memory", "out of memory")
"""How torch says so where it raises a plain RuntimeError."""


class Trial:
    """Trains `config["spec"]` epoch by epoch, from `config["checkpoint"]` on if that is a folder.

    The config's `threads`, `kernels` and `on_gpu` say how it is computed. A training that cannot go on has a `failure`.
    An error of the GPU itself goes through: its process can compute nothing more.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        torch.set_num_threads(config["threads"])
        self.failure: str | None = None
        """Why the training cannot go on."""
        self.training: Training | None = None
        """None if there was not memory enough, or an error while it was built."""
        self._attempt(lambda: self._build(config))

    @property
    def is_done(self) -> bool:
        """Whether there is nothing more to train."""
        training = self.training
        return self.failure is not None or training is None or training.epoch >= training.spec.fidelity.epochs

    def run_epoch(self) -> dict[str, Any]:
        """EpochMetrics; nothing of a failure, be it of this epoch."""
        metrics: dict[str, Any] = {}
        if self.failure is None:
            assert self.training is not None
            training = self.training
            self._attempt(lambda: metrics.update(training.run_epoch().to_dict()))
        return metrics

    def save(self, folder: Path) -> None:
        """Weights and state, as in experiments/checkpoint_files.py; nothing of a failure."""
        if self.training is not None and self.failure is None:
            save_checkpoint(self.training, folder)

    def load(self, folder: Path) -> None:
        """Go on from `save`."""
        assert self.training is not None
        load_checkpoint(self.training, folder)

    def _build(self, config: Mapping[str, Any]) -> None:
        # A trial that asked for no GPU keeps to its cores: Ray does not hide the GPUs of others from it.
        device = None if config["on_gpu"] else torch.device("cpu")
        self.training = Training(TrialSpec.from_dict(config["spec"]), device, kernels=config["kernels"])
        if config["checkpoint"] is not None:
            load_checkpoint(self.training, Path(config["checkpoint"]))

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except TrainingFailed as failed:
            self.failure = str(failed)
        except _BROKEN_DEVICE:
            raise
        except Exception as error:
            self.failure = explain(error)
            if self.failure.startswith("out of memory"):
                self.training = None  # for the next trial there must be some


def explain(error: Exception) -> str:
    """The reason that the record keeps of what went wrong here: what, where in the code, on which machine."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"({Path(where.filename).name}:{where.lineno}, on {platform.node()})"
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in text.lower() for words in _NO_MEMORY):
        return f"out of memory: {text or type(error).__name__} {place}"
    return f"{type(error).__name__}: {text} {place}"
