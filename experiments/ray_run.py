"""Ray Tune runs what the driver gives out, and the driver records what Ray Tune reports."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import Callback, CheckpointConfig, FailureConfig, PlacementGroupFactory, RunConfig, Stopper, TuneConfig
from ray.tune.execution import class_cache
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from db import Recorder
from experiments.driver import Driver
from experiments.jobs import bad_metric
from experiments.ray_environment import environment
from experiments.scheduler_config import SchedulerConfig
from experiments.schedulers import make_scheduler
from experiments.slots import Slots
from experiments.stopping import Stopping
from experiments.trainable import ProxyTrial

ROUND = 500
"""Trials that one controller of Ray Tune sees: it forgets none, and looks at all of them ever more often."""
ROUND_OF_SLOT = 25
"""At least so many for each that runs at once: those that end first wait for a round's last trial."""


def run(
    driver: Driver,
    recorder: Recorder,
    scheduler: SchedulerConfig,
    epochs: int,
    slots: Slots,
    folder: Path,
    stopping: Stopping,
    *,
    checkpoint_s: float = 0.0,
    trainable: type[tune.Trainable] = ProxyTrial,
) -> bool:
    """Run the driver's jobs, with Ray's own files in `folder` for so long. False if a signal ended it early.

    In a cluster `folder` is one that all nodes reach. Trials are saved every `checkpoint_s` seconds, between epochs.
    Raises what the driver raised, a RecordFault for instance, after all trials are stopped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("ray-*"):  # by a run that was killed
        shutil.rmtree(left, ignore_errors=True)
    bridge = _Bridge(driver, recorder, stopping)
    settings = {
        # Ray would start one worker after the other, seconds each, and drop one that is starting when a trial ends:
        # short trials would never get a second worker.
        "TUNE_MAX_PENDING_TRIALS_PG": str(slots.concurrent),
        "TUNE_DISABLE_SIGINT_HANDLER": "1",  # the signals are ours
        "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # and so is what is wrong with a result
        "TUNE_FORCE_TRIAL_CLEANUP_S": "2",  # a worker in the middle of an epoch is not waited for at the end
    }
    stopper = make_scheduler(scheduler, epochs)
    with _quiet(), environment(settings), _started_workers():
        while bridge.goes_on:
            with _scratch(folder) as scratch, bridge.at_the_end():
                _tuner(bridge, stopper, slots, scratch, checkpoint_s, trainable).fit()
            bridge.trial_ids.clear()
    if bridge.fault is not None:
        raise bridge.fault
    return bridge.exhausted


def _tuner(
    bridge: _Bridge,
    scheduler: TrialScheduler,
    slots: Slots,
    scratch: Path,
    checkpoint_s: float,
    trainable: type[tune.Trainable],
) -> tune.Tuner:
    return tune.Tuner(
        tune.with_resources(trainable, PlacementGroupFactory([slots.bundle])),
        tune_config=TuneConfig(
            search_alg=_DriverSearcher(bridge, slots, checkpoint_s),
            scheduler=scheduler,
            num_samples=-1,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=RunConfig(
            name="trials",
            storage_path=str(scratch),
            callbacks=[bridge],
            stop=_Stop(bridge),
            # Without num_to_keep, for which Ray would write the state of all its trials at every checkpoint.
            checkpoint_config=CheckpointConfig(checkpoint_at_end=True),
            failure_config=FailureConfig(max_failures=0),  # what is run again is the driver's decision
            verbose=0,
        ),
    )


class _Unpickled:
    """What has no state for Ray, which pickles what it is given for its own restore, that this project does not use."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _Bridge(_Unpickled, Callback):  # type: ignore[misc]
    """Translates Ray's trials into the driver's, and its reports into the driver's calls.

    What the driver raises is kept, to be raised again when Ray has ended: Ray would make another error of it.
    """

    def __init__(self, driver: Driver, recorder: Recorder, stopping: Stopping) -> None:
        self.driver, self.recorder, self.stopping = driver, recorder, stopping
        self.trial_ids: dict[str, int] = {}  # ours, by Ray's, of what runs
        self.exhausted = False
        """Whether the driver has given out all its jobs and got them back."""
        self.fault: BaseException | None = None
        self.must_end = False
        """Whether nothing that still runs is waited for."""

    @property
    def goes_on(self) -> bool:
        """Whether there is another round."""
        return not self.exhausted and self.fault is None and not self.stopping.is_asked

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """Keep the first error."""
        try:
            yield
        except BaseException as error:
            self.fault = self.fault or error

    @contextlib.contextmanager
    def at_the_end(self) -> Iterator[None]:
        """Let no error of Ray's take the first one's place: it reads files that a full disk cut short."""
        try:
            yield
        except Exception:
            if self.fault is None:
                raise

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if self.fault is None:
            with self.guarded():
                self.recorder.tick()
        # Trials that have no worker yet have nothing to save.
        self.must_end = (
            self.fault is not None
            or self.stopping.is_due
            or (self.stopping.is_asked and not any(trial.status == Trial.RUNNING for trial in trials))
        )
        if self.must_end:
            for actor in filter(None, (trial.temporary_state.ray_actor for trial in trials)):
                ray.kill(actor)  # Ray itself would wait ten seconds for each that is in the middle of an epoch

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if self.fault is None and "failure" not in result:
            with self.guarded():
                self.driver.take_epoch(self.trial_ids[trial.trial_id], result)

    def on_checkpoint(self, iteration: int, trials: list[Any], trial: Any, checkpoint: Any, **info: Any) -> None:
        if self.fault is None and trial.trial_id in self.trial_ids:
            with self.guarded(), checkpoint.as_directory() as folder:
                self.driver.take_checkpoint(self.trial_ids[trial.trial_id], Path(folder))
                shutil.rmtree(folder, ignore_errors=True)  # the driver has its own copy

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        if self.fault is None:
            with self.guarded():
                self._end(self.trial_ids.pop(trial.trial_id), (trial.last_result or {}).get("failure"))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        if self.fault is None:
            with self.guarded():
                self._lose(self.trial_ids.pop(trial.trial_id), _error_of(trial))

    def _end(self, trial_id: int, failure: str | None) -> None:
        if self.stopping.is_asked and failure is None and not self.driver.is_trained(trial_id):
            self.driver.take_interrupted(trial_id)
        else:
            self.driver.take_end(trial_id, failure)

    def _lose(self, trial_id: int, error: str) -> None:
        reason, is_fatal = why_it_died(error)
        if os.strerror(errno.ENOSPC) in reason:  # which says nothing of the trial
            raise OSError(errno.ENOSPC, reason)
        if self.stopping.is_asked:
            self.driver.take_interrupted(trial_id)
        else:
            self.driver.take_death(trial_id, reason, is_fatal=is_fatal)


def _error_of(trial: Any) -> str:
    """What Ray says of a trial's end. `Trial.get_error` would look in the storage, where it comes later or never."""
    try:
        return Path(trial.error_file).read_text()
    except (OSError, TypeError):  # it could not be written
        return ""


def why_it_died(error: str) -> tuple[str, bool]:
    """The reason that the record keeps of a worker's death, and whether it would only die again."""
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    no_memory = any(words in error for words in ("OutOfMemoryError", "running low on memory"))
    last = lines[-1] if lines else "it ended without a word"
    return (f"out of memory: {last}", True) if no_memory else (f"worker: {last}", False)


class _Stop(_Unpickled, Stopper):  # type: ignore[misc]
    """Ends trials whose result cannot be used, and all of them when the sweep is to end."""

    def __init__(self, bridge: _Bridge) -> None:
        self._bridge = bridge

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether a trial ends with this result."""
        return self._bridge.stopping.is_asked or bad_metric(result) is not None

    def stop_all(self) -> bool:
        """Whether everything ends now."""
        return self._bridge.must_end


class _DriverSearcher(_Unpickled, Searcher):  # type: ignore[misc]
    """Asks the driver for the next job whenever Ray Tune has room."""

    def __init__(self, bridge: _Bridge, slots: Slots, checkpoint_s: float) -> None:
        super().__init__(metric="val_accuracy", mode="max")
        self._bridge, self._slots, self._checkpoint_s = bridge, slots, checkpoint_s
        self._left = max(ROUND, ROUND_OF_SLOT * slots.concurrent)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The job's config; None to be asked again, FINISHED at the end."""
        bridge = self._bridge
        if bridge.fault is not None or bridge.stopping.is_asked or self._left == 0:
            return str(Searcher.FINISHED)
        if bridge.driver.running >= self._slots.concurrent:
            return None
        with bridge.guarded():
            return self._next(trial_id)
        return str(Searcher.FINISHED)

    def _next(self, trial_id: str) -> dict[str, Any] | str | None:
        driver = self._bridge.driver
        job = driver.next_job()
        if job is None:
            self._bridge.exhausted = driver.running == 0
            return str(Searcher.FINISHED) if self._bridge.exhausted else None
        self._bridge.trial_ids[trial_id] = job.trial_id
        self._left -= 1
        return {
            "spec": job.spec.to_dict(),
            "checkpoint": None if job.checkpoint is None else str(job.checkpoint.resolve()),
            "checkpoint_s": self._checkpoint_s,
            "threads": self._slots.threads,
            "on_gpu": self._slots.gpus > 0,
            "kernels": self._slots.kernels,
            "spared": job.is_baseline,
        }

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """The callback tells the driver."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the rows are the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the rows are the state."""


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder for Ray's own files, which nobody needs after the run."""
    scratch = Path(tempfile.mkdtemp(prefix="ray-", dir=folder)).resolve()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def _started_workers() -> Iterator[None]:
    """With trials in the workers that Ray has started already.

    Tune sets a variable for them, which only PyTorch Lightning reads: Ray would first make them an environment and
    start another worker, two seconds each time.
    """
    variables: dict[str, str] = vars(class_cache).get("DEFAULT_ENV_VARS", {})
    before = dict(variables)
    variables.clear()
    try:
        yield
    finally:
        variables.update(before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Ray's own log lines out of the progress display; errors reach the rows."""
    logger = logging.getLogger("ray")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
