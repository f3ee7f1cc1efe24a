"""Train the variants of a space and record what comes of it: python -m experiments.sweep space=NAME."""

from __future__ import annotations

import dataclasses
import os
import shlex
import sys
from pathlib import Path

# What Ray reads from the environment when it is imported.
os.environ |= {
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under `uv run` it would build a second environment for its workers
    "RAY_AIR_NEW_OUTPUT": "0",  # the progress display is ours
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # so is the record
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}

import hydra
from omegaconf import DictConfig
from rich.console import Console

from analysis.frame import variant_frame
from analysis.page_settings import next_commands
from analysis.report import write_report
from analysis.results import read_results
from analysis.tables import front_table
from db import Store, StudyRecord
from experiments.candidates import Candidates, architecture_record
from experiments.cautions import kernel_caution, proxy_cautions
from experiments.data.load import Dataset, load_dataset
from experiments.driver import Conditions, Driver
from experiments.latencies import Latencies
from experiments.latency_objective import latency_caution, latency_settings, measure_by
from experiments.lock import only_driver
from experiments.objectives import directions, read_objectives
from experiments.optuna_view import OptunaView
from experiments.progress import SweepProgress
from experiments.provenance import provenance
from experiments.proxies import Proxies
from experiments.ray_run import connected, run
from experiments.slots import Slots, plan_slots
from experiments.suggest import Suggester, make_suggester
from experiments.sweep_config import SweepConfig
from experiments.training import train_batches
from space import Space
from space.cli import run_entry_point, to_typed
from space.match import with_match
from transxnet.cost import LatencySettings

INTERRUPTED = 130


@hydra.main(version_base=None, config_path="conf", config_name="sweep")
def main(cfg: DictConfig) -> None:
    """Entry point."""
    sys.exit(sweep(to_typed(cfg, SweepConfig), Console(soft_wrap=True)))


def sweep(config: SweepConfig, console: Console) -> int:
    """Run a sweep, or go on with it; returns the exit code. Raises ValueError for what the user must mend.

    All that can be wrong is found before the record is opened, so that a mistake leaves no trace.
    """
    space = Space.from_dict(with_match(config.space, config.match))
    dataset = load_dataset(config.data.resolved(), config.proxy.image_size)
    train_batches(dataset, config.recipe, config.proxy, seed=0)
    candidates = Candidates(space, config.budget)
    suggester = make_suggester(config.search, candidates, directions(read_objectives(config.objectives)), config.seed)
    latency = latency_settings(config.latency, read_objectives(config.objectives))
    _introduce(config, space, dataset, latency, console)
    with connected(config.ray):
        slots = plan_slots(config.resources)
        console.print(f"{slots.describe()}\n", highlight=False)
        with only_driver(_folder(config), config.study_name), Store.open(config.storage.url) as store:
            store.add_architectures([architecture_record(space.base)])
            store.add_study(_study(config, space, dataset, latency))
            conditions, latencies = _conditions(config, space, dataset, slots), _latencies(store, latency, console)
            complete = _train(config, store, candidates, suggester, conditions, latencies, slots, console)
            return _conclude(config, store, candidates, complete, console)


def _train(
    config: SweepConfig,
    store: Store,
    candidates: Candidates,
    suggester: Suggester,
    conditions: Conditions,
    latencies: Latencies | None,
    slots: Slots,
    console: Console,
) -> bool:
    """Run to the end of the suggestions; False if the user ended it before."""
    objectives = read_objectives(config.objectives)
    view = OptunaView(config.storage.url, config.study_name, candidates.space, objectives)
    axes = [axis.name for axis in candidates.space.axes]
    with SweepProgress(console, config.proxy.epochs, axes) as progress:
        driver = Driver(
            store,
            conditions,
            candidates,
            suggester,
            view,
            objectives,
            progress,
            seeds=config.seeds,
            variants=config.variants,
            retry_failed=config.retry_failed,
            latencies=latencies,
        )
        try:
            folder = _folder(config)
            return run(driver, store, config.scheduler, config.proxy.epochs, slots, folder, config.ray.storage)
        finally:
            driver.interrupt("the sweep was ended while it ran")


def _conclude(config: SweepConfig, store: Store, candidates: Candidates, complete: bool, console: Console) -> int:
    """Say what came of it and what to type next; returns the exit code."""
    results = read_results(store, config.study_name)
    frame = variant_frame(results.study, results.trials, results.architectures)
    for reason, count in sorted(candidates.refused.items()):
        console.print(f"{count} proposed points were not trained: {reason}", highlight=False)
    files = write_report(store, config.study_name, _folder(config) / "report")
    console.print()
    console.print(front_table(frame, config.objectives))
    console.print(
        f"\nReport: {files.html}  (tables {files.variants.name}, {files.trials.name}; picture {files.front.name})"
    )
    for command in next_commands(results):
        console.print(f"{command.what}\n  {command.line}", highlight=False, markup=False)
    if not complete:
        console.print("\nEnded early. All that finished is in the record; the same command goes on:", style="bold")
        console.print(f"  {_command()}", highlight=False, markup=False)
        return INTERRUPTED
    return 0 if (frame["seeds"] > 0).any() else 1


def _introduce(
    config: SweepConfig, space: Space, dataset: Dataset, latency: LatencySettings | None, console: Console
) -> None:
    console.print(f"[bold]{config.study_name}[/]: {space.about}", highlight=False)
    splits = {"training": dataset.train, "validation": dataset.validation, "test": dataset.test}
    sizes = ", ".join(f"{len(split):,} {name}" for name, split in splits.items())
    console.print(
        f"data {dataset.name}: {dataset.num_classes} classes, {sizes} images. {dataset.about}", highlight=False
    )
    latency_told = latency_caution(latency, config.search.name)
    kernels = {"train_time": config.resources.kernels, "latency": config.latency.kernels}
    kernels_told = kernel_caution(space, {name: kernels[name] for name in config.objectives if name in kernels})
    proxies_told = proxy_cautions(Proxies(space, config.proxy, dataset.channels, dataset.num_classes))
    for caution in filter(None, [dataset.caution, *proxies_told, latency_told, kernels_told]):
        console.print(f"caution: {caution}", style="yellow", highlight=False)
    console.print(f"record {config.storage.shown}, {config.seeds} seed(s) a variant", highlight=False, end=", ")


def _conditions(config: SweepConfig, space: Space, dataset: Dataset, slots: Slots) -> Conditions:
    return Conditions(
        study=config.study_name,
        recipe=config.recipe,
        data=config.data.resolved(),
        data_fingerprint=dataset.fingerprint,
        proxies=Proxies(space, config.proxy, dataset.channels, dataset.num_classes),
        provenance=provenance(slots.resources()),
    )


def _latencies(store: Store, settings: LatencySettings | None, console: Console) -> Latencies | None:
    if settings is None:
        return None
    return Latencies(store, settings, measure_by(settings), lambda line: console.print(line, highlight=False))


def _study(config: SweepConfig, space: Space, dataset: Dataset, latency: LatencySettings | None) -> StudyRecord:
    data = dataset.describe()
    data["config"].pop("cache")  # where copies lie does not make a study another
    return StudyRecord(
        name=config.study_name,
        space=space.to_dict(),
        recipe=dataclasses.asdict(config.recipe),
        data={**data, "caution": dataset.caution},
        fidelity=dataclasses.asdict(config.proxy),
        objectives=config.objectives,
        baseline_arch_id=space.base.id,
        command=_command(),
        latency=None if latency is None else latency.to_dict(),
    )


def _folder(config: SweepConfig) -> Path:
    return Path(config.runs) / config.study_name


def _command() -> str:
    return shlex.join(["python", "-m", "experiments.sweep", *sys.argv[1:]])


if __name__ == "__main__":
    run_entry_point(main)
