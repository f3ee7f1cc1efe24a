"""A trial as Ray Tune runs it: one network trained epoch by epoch in a worker that is used again for the next."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune
from ray.tune.result import SHOULD_CHECKPOINT

if TYPE_CHECKING:
    from experiments.trial import Trial


class ProxyTrial(tune.Trainable):  # type: ignore[misc]
    """A `Trial` of the config, one epoch a step; after the config's `checkpoint_s` seconds it asks to be saved again.

    A training that cannot go on ends its trial with a `failure` in the result, not with an exception: the worker
    lives on for the next trial and the record gets the reason. An error of the GPU itself goes through, and Ray gives
    the next trial a new worker.
    """

    trial: Trial

    def setup(self, config: dict[str, Any]) -> None:
        """Called once a worker."""
        from experiments.trial import Trial  # here: the driver, too, imports this class, and would wait for timm

        self._checkpoint_s: float = config["checkpoint_s"]
        self._saved_at = time.monotonic()
        self.trial = Trial(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Called for each further trial of a worker."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train an epoch; the result is EpochMetrics, or `failure`, with `done`."""
        metrics = self.trial.run_epoch()
        if self.trial.failure is not None:
            # Ray insists on the metric that its searchers and schedulers know; no number is taken from a failure.
            return {"failure": self.trial.failure, "val_accuracy": math.nan, "done": True}
        is_due = time.monotonic() - self._saved_at >= self._checkpoint_s
        done = self.trial.is_done
        return {**metrics, "done": done, SHOULD_CHECKPOINT: is_due and not done}  # at the end Ray saves unasked

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """The trial's files; nothing of a failure."""
        self.trial.save(Path(checkpoint_dir))
        self._saved_at = time.monotonic()

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Go on from `save_checkpoint`."""
        self.trial.load(Path(checkpoint_dir))
