"""Ray Tune runs what the driver gives out, and the driver records what Ray Tune reports."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import Callback, CheckpointConfig, FailureConfig, RunConfig, TuneConfig
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from db import Store
from experiments.driver import Driver
from experiments.slots import Slots
from experiments.trainable import WEIGHTS_FILE, ProxyTrial
from experiments.weights import keep_weights
from space.words import remedy

WORKER_ENVIRONMENT = {
    # Waiting threads sleep: where they spin and another process needs the core, a step takes many times as long.
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""Of the processes that train; read when torch is loaded, so that a trial's setup would be too late."""


@dataclass(frozen=True)
class RayConfig:
    """Where Ray runs."""

    address: str | None = None
    """Address of a running cluster, or "auto"; None starts Ray on this machine."""
    storage: str | None = None
    """Folder that all nodes of a cluster reach, for trials' weights on their way to the driver; None: on one node."""


@dataclass(frozen=True)
class SchedulerConfig:
    """Which trials are stopped early. Raises ValueError for an unknown name or a value out of range."""

    name: str = "none"
    """none, or asha: by accuracy, among trials at the same epoch."""
    grace_epochs: int = 1
    """Epochs that every trial runs."""
    reduction_factor: int = 3
    """One of so many trials goes on at each rung."""

    def __post_init__(self) -> None:
        if self.name not in ("none", "asha"):
            raise ValueError(f"unknown scheduler.name {self.name!r}; {remedy(self.name, ('none', 'asha'))}")
        if self.grace_epochs < 1 or self.reduction_factor < 2:
            raise ValueError(
                f"scheduler.grace_epochs must be at least 1 and reduction_factor at least 2, got "
                f"{self.grace_epochs} and {self.reduction_factor}; leave them out for 1 and 3"
            )


@contextlib.contextmanager
def connected(config: RayConfig) -> Iterator[None]:
    """With Ray started here or joined; it is left as it was found, so that one session can serve many sweeps."""
    if ray.is_initialized():
        yield
        return
    _init(config)
    try:
        _require_shared_folder(config)
        yield
    finally:
        ray.shutdown()


def _init(config: RayConfig) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if config.address:
        ray.init(address=config.address, runtime_env={"env_vars": WORKER_ENVIRONMENT}, **quiet)
        return
    # Workers inherit the environment of a Ray that starts here, without the two seconds that a runtime_env takes.
    with _environment(WORKER_ENVIRONMENT):
        ray.init(include_dashboard=False, **quiet)


@contextlib.contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """With these variables, where the user has not set them."""
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def _require_shared_folder(config: RayConfig) -> None:
    nodes = sum(node["Alive"] for node in ray.nodes())
    if nodes > 1 and config.storage is None:
        raise ValueError(
            f"a cluster of several nodes needs a folder that all of them reach, got {nodes} nodes and no ray.storage; "
            f"write ray.storage=FOLDER"
        )


def run(
    driver: Driver,
    store: Store,
    scheduler: SchedulerConfig,
    epochs: int,
    slots: Slots,
    folder: Path,
    shared: str | None = None,
) -> bool:
    """Run the driver's jobs; weights go below `folder`, Ray's own files away. False if Ctrl-C ended it early.

    `shared` is a folder that all nodes of a cluster reach.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("ray-*"):  # by a run that was killed
        shutil.rmtree(left, ignore_errors=True)
    bridge = _Bridge(driver, store, folder / "weights")
    # Ray would start one worker after the other, seconds each, and drop one that is starting when a trial ends: short
    # trials would never get a second worker.
    at_once = {"TUNE_MAX_PENDING_TRIALS_PG": str(slots.concurrent)}
    with _scratch(Path(shared) if shared else folder) as scratch, _quiet(), _environment(at_once):
        tuner = tune.Tuner(
            tune.with_resources(ProxyTrial, {"cpu": slots.cpus, "gpu": slots.gpus}),
            tune_config=TuneConfig(
                search_alg=_DriverSearcher(bridge, slots),
                scheduler=make_scheduler(scheduler, epochs),
                num_samples=-1,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=RunConfig(
                name="trials",
                storage_path=str(scratch),
                callbacks=[bridge],
                checkpoint_config=CheckpointConfig(checkpoint_at_end=True, num_to_keep=1),
                failure_config=FailureConfig(max_failures=0),
                verbose=0,
            ),
        )
        tuner.fit()
    return bridge.exhausted


def make_scheduler(config: SchedulerConfig, epochs: int) -> TrialScheduler:
    """Ray Tune's scheduler of that name."""
    if config.name == "none":
        return FIFOScheduler()
    return _SparingASHA(
        time_attr="training_iteration",
        metric="val_accuracy",
        mode="max",
        max_t=epochs,
        grace_period=min(config.grace_epochs, epochs),
        reduction_factor=config.reduction_factor,
    )


class _SparingASHA(ASHAScheduler):  # type: ignore[misc]
    """ASHA that never stops the baseline: without it there would be nothing to compare with."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Ray's decision, or to go on."""
        decision = str(super().on_trial_result(tune_controller, trial, result))
        ended = result["training_iteration"] >= self._max_t
        return decision if ended or not trial.config["spared"] else str(TrialScheduler.CONTINUE)


class _Bridge(Callback):  # type: ignore[misc]
    """Translates Ray's trials into the driver's, and its reports into the driver's calls."""

    def __init__(self, driver: Driver, store: Store, weights: Path) -> None:
        self.driver = driver
        self._store, self._weights = store, weights
        self.trial_ids: dict[str, int] = {}  # ours, by Ray's
        self.exhausted = False  # whether the driver has given out all its jobs and got them back

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Ray pickles what it is given for its own restore, which this project does not use."""
        return {}

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if "failure" not in result:
            self.driver.take_epoch(self.trial_ids[trial.trial_id], result)

    def on_checkpoint(self, iteration: int, trials: list[Any], trial: Any, checkpoint: Any, **info: Any) -> None:
        with checkpoint.as_directory() as folder:
            source = Path(folder) / WEIGHTS_FILE
            if source.is_file():
                self._store.add_artifact(keep_weights(self.trial_ids[trial.trial_id], source, self._weights))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.driver.take_end(self.trial_ids[trial.trial_id], (trial.last_result or {}).get("failure"))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        lines = str(trial.get_error() or "the worker died").strip().splitlines()
        self.driver.take_end(self.trial_ids[trial.trial_id], f"worker: {lines[-1]}")


class _DriverSearcher(Searcher):  # type: ignore[misc]
    """Asks the driver for the next job whenever Ray Tune has room."""

    def __init__(self, bridge: _Bridge, slots: Slots) -> None:
        super().__init__(metric="val_accuracy", mode="max")
        self._bridge, self._slots = bridge, slots

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The job's config; None to be asked again, FINISHED at the end."""
        driver = self._bridge.driver
        if driver.running >= self._slots.concurrent:
            return None
        job = driver.next_job()
        if job is None:
            self._bridge.exhausted = driver.running == 0
            return str(Searcher.FINISHED) if self._bridge.exhausted else None
        self._bridge.trial_ids[trial_id] = job.trial_id
        return {
            "spec": job.spec.to_dict(),
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
def _quiet() -> Iterator[None]:
    """Keep Ray's own log lines out of the progress display; errors reach the rows."""
    logger = logging.getLogger("ray")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
