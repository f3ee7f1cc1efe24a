"""A trial of the platform that trains nothing: what is left is the platform itself."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from experiments.checkpoint_names import WEIGHTS_FILE
from experiments.trainable import ProxyTrial

METRICS = {"train_loss": 1.0, "val_loss": 1.0, "val_accuracy": 0.5, "learning_rate": 1e-3, "seconds": 1e-3}


class IdleTrial(ProxyTrial):
    """Reports one epoch at once and keeps a few bytes. Its worker imports what a training worker does."""

    def setup(self, config: dict[str, Any]) -> None:
        """Nothing is built."""
        import experiments.trial  # noqa: F401 - what a training worker imports, with torch and timm

        self._started = time.time()

    def step(self) -> dict[str, Any]:
        """The only epoch's metrics, and when the worker began the trial."""
        return {**METRICS, "epoch": 1, "started": self._started, "done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """A few bytes."""
        (Path(checkpoint_dir) / WEIGHTS_FILE).write_text("a few bytes")

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """There is nothing to load."""
