"""Plain Ray Tune's side of the overhead benchmark: python -m benchmarks.overhead_ray FOLDER TRIALS."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import ray
from ray import tune

from benchmarks.moments import Moments


def idle(config: dict[str, Any]) -> None:
    """A function trainable that reports one result at once."""
    tune.report({"val_accuracy": 0.5, "started": time.time()})


class Watch(tune.Callback):  # type: ignore[misc]
    """Notes what Ray Tune reports."""

    def __init__(self, moments: Moments) -> None:
        self._moments = moments

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Once a trial; the end of a function is told without its metrics."""
        self._moments.started(result["started"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Once a trial."""
        self._moments.ended()


def run_ray(folder: Path, trials: int, moments: Moments) -> None:
    """As Ray Tune's tutorial has it: one trial a core, each in a new process."""
    ray.init(include_dashboard=False, log_to_driver=False)
    moments.ray_ready = moments.now()
    with moments.memory_sampled():
        tune.Tuner(
            tune.with_resources(idle, {"cpu": 1}),
            tune_config=tune.TuneConfig(num_samples=trials),
            run_config=tune.RunConfig(storage_path=str(folder.resolve()), callbacks=[Watch(moments)], verbose=0),
        ).fit()
    ray.shutdown()


def main() -> None:
    """Run, and tell the moments."""
    folder, moments = Path(sys.argv[1]), Moments()
    run_ray(folder, int(sys.argv[2]), moments)
    moments.write(folder)


if __name__ == "__main__":
    main()
