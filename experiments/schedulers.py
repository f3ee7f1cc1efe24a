"""Which trials are stopped early: one of Ray Tune's schedulers for each word of `scheduler=`."""

from __future__ import annotations

from typing import Any

from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from experiments.scheduler_config import SchedulerConfig


def make_scheduler(config: SchedulerConfig, epochs: int) -> TrialScheduler:
    """Ray Tune's scheduler of that name."""
    if config.name == "none":
        return _FIFO()
    return _SparingASHA(
        time_attr="epoch",  # a trial that went on from a checkpoint has run fewer of them here
        metric="val_accuracy",
        mode="max",
        max_t=epochs,
        grace_period=min(config.grace_epochs, epochs),
        reduction_factor=config.reduction_factor,
    )


class _NewestFirst:
    """Gives a worker that is free to the trial that was just added.

    Ray's own choice is the oldest that waits: one whose worker is starting, which is then thrown away, so that trials
    shorter than a worker's start never get a second worker.
    """

    _added: Any = None

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        super().on_trial_add(tune_controller, trial)  # type: ignore[misc]
        self._added = trial

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """The trial, once; Ray starts whatever else waits by itself."""
        trial, self._added = self._added, None
        return trial if trial is not None and trial.status == "PENDING" else None


class _FIFO(_NewestFirst, FIFOScheduler):  # type: ignore[misc]
    """Each trial runs to its end."""


class _SparingASHA(_NewestFirst, ASHAScheduler):  # type: ignore[misc]
    """ASHA that never stops the baseline: without it there would be nothing to compare with."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Ray's decision, or to go on."""
        decision = str(super().on_trial_result(tune_controller, trial, result))
        ended = result["epoch"] >= self._max_t
        return decision if ended or not trial.config["spared"] else str(TrialScheduler.CONTINUE)
