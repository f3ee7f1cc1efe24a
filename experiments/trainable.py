"""A trial as Ray Tune runs it: one network trained epoch by epoch in a worker that is used again for the next."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from ray import tune
from safetensors.torch import load_file, save_file

from experiments.spec import TrialSpec
from experiments.training import Training, TrainingFailed

WEIGHTS_FILE = "model.safetensors"
STATE_FILE = "state.pt"

_BROKEN_DEVICE: type[Exception] | tuple[()] = getattr(torch, "AcceleratorError", ())
"""What a GPU that cannot go on in this process raises; nothing in a torch that does not tell it apart. No memory left
is another error, after which the process is sound."""


class ProxyTrial(tune.Trainable):  # type: ignore[misc]
    """Trains `config["spec"]`, one epoch a step.

    The config's `threads`, `kernels` and `on_gpu` say how it is computed.

    A training that cannot go on ends its trial with a `failure` in the result, not with an exception: the worker
    lives on for the next trial and the record gets the reason. An error of the GPU itself goes through: its process
    can compute nothing more, and Ray gives the next trial a new worker.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Called once a worker."""
        torch.set_num_threads(config["threads"])
        self._training: Training | None = None
        self._failure: str | None = None
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
        return {**metrics, "done": self._training.epoch >= self._training.spec.fidelity.epochs}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Weights as safetensors, the rest so that it loads with weights_only."""
        if self._training is None or self._failure is not None:
            return
        state = {name: value.contiguous() for name, value in self._training.model.state_dict().items()}
        save_file(state, Path(checkpoint_dir) / WEIGHTS_FILE)
        torch.save(self._training.state(), Path(checkpoint_dir) / STATE_FILE)

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Go on from `save_checkpoint`."""
        assert self._training is not None
        self._training.model.load_state_dict(load_file(Path(checkpoint_dir) / WEIGHTS_FILE))
        self._training.load_state(torch.load(Path(checkpoint_dir) / STATE_FILE, weights_only=True))

    def _build(self, config: dict[str, Any]) -> None:
        # A trial that asked for no GPU keeps to its cores: Ray does not hide the GPUs of others from it.
        device = None if config["on_gpu"] else torch.device("cpu")
        self._training = Training(TrialSpec.from_dict(config["spec"]), device, kernels=config["kernels"])

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except TrainingFailed as failed:
            self._failure = str(failed)
        except _BROKEN_DEVICE:
            raise
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            self._failure = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
