"""Train the variants of a space and record what comes of it: python -m experiments.sweep space=NAME."""

from __future__ import annotations

import dataclasses
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
from ray.tune import Trainable
from rich.console import Console

from analysis.files import folder_below
from analysis.frame import variant_frame
from analysis.page_settings import next_commands
from analysis.report import write_report
from analysis.results import read_results
from analysis.tables import front_table
from db import Recorder, RecordFault, Spool, Store, StudyRecord, check_study
from experiments.candidates import Candidates, architecture_record
from experiments.cautions import kernel_caution, proxy_cautions
from experiments.checkpoints import Checkpoints
from experiments.cluster import connected, require_able_nodes
from experiments.data.load import Dataset, load_dataset
from experiments.driver import Driver
from experiments.jobs import Conditions
from experiments.latencies import Latencies
from experiments.latency_objective import latency_caution, latency_settings, measure_by
from experiments.lead import leading
from experiments.objectives import directions, read_objectives
from experiments.optuna_tables import OptunaTables
from experiments.optuna_view import CLOSE_S, OptunaView
from experiments.preflight import check_before
from experiments.progress import SweepProgress
from experiments.provenance import provenance
from experiments.proxies import Proxies
from experiments.ray_run import run
from experiments.slots import Slots, plan_slots, trial_nodes
from experiments.stopping import Stopping
from experiments.suggest import Suggester, make_suggester
from experiments.sweep_config import SweepConfig
from experiments.trainable import ProxyTrial
from experiments.training import train_batches
from space import Space
from space.cli import run_entry_point, to_typed
from space.match import with_match
from transxnet.cost import LatencySettings


@hydra.main(version_base=None, config_path="conf", config_name="sweep")
def main(cfg: DictConfig) -> None:
    """Entry point."""
    sys.exit(sweep(to_typed(cfg, SweepConfig), Console(soft_wrap=True)))


def sweep(config: SweepConfig, console: Console, *, trainable: type[Trainable] = ProxyTrial) -> int:
    """Run a sweep, or go on with it; returns the exit code. Raises ValueError for what the user must mend.

    All that can be wrong is found before Ray starts and the record is opened, so that a mistake leaves no trace. Raises
    RecordFault if the record is away, full, damaged or another driver's; what was acknowledged is in it.
    """
    space = Space.from_dict(with_match(config.space, config.match))
    latency = latency_settings(config.latency, read_objectives(config.objectives))
    candidates = Candidates(space, config.budget)
    suggester = make_suggester(config.search, candidates, directions(read_objectives(config.objectives)), config.seed)
    check_before(config)
    _folder(config)
    dataset = load_dataset(config.data.resolved(), config.proxy.image_size)
    train_batches(dataset, config.recipe, config.proxy, seed=0)
    check_study(config.storage.url, _study(config, space, dataset, latency))
    _introduce(config, space, dataset, latency, console)
    stopping = Stopping()
    with connected(config.ray), stopping.listening():
        slots = plan_slots(config.resources)
        nodes = trial_nodes(config.resources)
        require_able_nodes(nodes, config.data.resolved(), config.proxy.image_size, dataset.fingerprint)
        told = f"record {config.storage.shown}, {config.seeds} seed(s) a variant, {slots.describe()}"
        console.print(f"{told}\n", highlight=False)
        with Store.open(config.storage.url) as store:
            if store.backup:
                console.print(f"the record is upgraded; as it was, it is kept in {store.backup}", highlight=False)
            store.add_architectures([architecture_record(space.base)])
            store.add_study(_study(config, space, dataset, latency))
            conditions, latencies = _conditions(config, space, dataset, slots), _latencies(store, latency, console)
            with _recorder(config, store, stopping, console) as recorder:
                parts = (store, recorder, conditions, candidates, suggester)
                complete = _train(config, parts, latencies, slots, stopping, trainable, console)
            return _conclude(config, store, candidates, console) if complete else _end_early(stopping, console)


@contextmanager
def _recorder(config: SweepConfig, store: Store, stopping: Stopping, console: Console) -> Iterator[Recorder]:
    """Lead the study, and write what an earlier run could not."""

    def tell(line: str) -> None:
        console.print(line, highlight=False, markup=False)

    folder = _folder(config)
    with leading(store, config.study_name, folder, tell) as lead:
        spool = Spool(folder, store)
        if count := spool.replay(lead):
            tell(f"{count} writes that an earlier run could not make are in the record now")
        yield Recorder(store, lead, spool, patience_s=config.storage.wait_s, hurry=lambda: stopping.is_asked, tell=tell)


def _train(
    config: SweepConfig,
    parts: tuple[Store, Recorder, Conditions, Candidates, Suggester],
    latencies: Latencies | None,
    slots: Slots,
    stopping: Stopping,
    trainable: type[Trainable],
    console: Console,
) -> bool:
    """Run to the end of the suggestions; False if the user ended it before."""
    objectives = read_objectives(config.objectives)
    recorder, candidates = parts[1], parts[3]
    shared = Path(config.ray.storage) / config.study_name if config.ray.storage else _folder(config)
    checkpoints = Checkpoints(shared / "checkpoints")
    axes = [axis.name for axis in candidates.space.axes]
    with (
        _view(config, candidates.space, console) as view,
        SweepProgress(console, config.proxy.epochs, axes) as progress,
    ):
        driver = Driver(
            *parts,
            view,
            objectives,
            progress,
            checkpoints=checkpoints,
            weights=_folder(config) / "weights",
            seeds=config.seeds,
            variants=config.variants,
            retry_failed=config.retry_failed,
            max_failures=config.max_failures,
            latencies=latencies,
        )
        try:
            complete = run(
                driver,
                recorder,
                config.scheduler,
                config.proxy.epochs,
                slots,
                shared,
                stopping,
                checkpoint_s=config.checkpoint_s,
                trainable=trainable,
            )
        except RecordFault:
            raise  # nothing more can be written
        except BaseException:
            driver.interrupt()
            raise
        driver.interrupt()
        checkpoints.clear()
        return complete


@contextmanager
def _view(config: SweepConfig, space: Space, console: Console) -> Iterator[OptunaView]:
    objectives = read_objectives(config.objectives)
    view = OptunaView(lambda: OptunaTables(config.storage.url, config.study_name, space, objectives))
    patience_s = CLOSE_S
    try:
        yield view
    except BaseException:
        patience_s = 2.0
        raise
    finally:
        view.close(patience_s)
        if view.trouble:
            console.print(
                f"caution: optuna-dashboard shows less than the record ({view.trouble}); the next start of the sweep "
                f"mends it",
                style="yellow",
                highlight=False,
            )


def _conclude(config: SweepConfig, store: Store, candidates: Candidates, console: Console) -> int:
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
    return 0 if (frame["seeds"] > 0).any() else 1


def _end_early(stopping: Stopping, console: Console) -> int:
    """Say how to go on; no report, which takes its time in a large study."""
    console.print("\nEnded early. All that finished is in the record; the same command goes on:", style="bold")
    console.print(f"  {_command()}", highlight=False, markup=False)
    return stopping.exit_code


def _introduce(
    config: SweepConfig, space: Space, dataset: Dataset, latency: LatencySettings | None, console: Console
) -> None:
    console.print(f"[bold]{config.study_name}[/]: {space.about}", highlight=False)
    splits = {"training": dataset.train, "validation": dataset.validation, "test": dataset.test}
    sizes = ", ".join(f"{len(split):,} {name}" for name, split in splits.items())
    console.print(
        f"data {dataset.name}: {dataset.num_classes} classes, {sizes} images. {dataset.about}", highlight=False
    )
    if dataset.skipped:
        count, first = len(dataset.skipped), dataset.skipped[0]
        console.print(f"{count} files that cannot be used were skipped, {first} first", style="yellow", highlight=False)
    latency_told = latency_caution(latency, config.search.name)
    kernels = {"train_time": config.resources.kernels, "latency": config.latency.kernels}
    kernels_told = kernel_caution(space, {name: kernels[name] for name in config.objectives if name in kernels})
    proxies_told = proxy_cautions(Proxies(space, config.proxy, dataset.channels, dataset.num_classes))
    for caution in filter(None, [dataset.caution, *proxies_told, latency_told, kernels_told]):
        console.print(f"caution: {caution}", style="yellow", highlight=False)


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
    """The study's own; raises ValueError if it, or what a sweep writes in it, is a link out of `runs`."""
    for written in ("weights", "report", ".lock"):
        folder_below(Path(config.runs), config.study_name, written)
    return folder_below(Path(config.runs), config.study_name)


def _command() -> str:
    return shlex.join(["python", "-m", "experiments.sweep", *sys.argv[1:]])


if __name__ == "__main__":
    run_entry_point(main)
