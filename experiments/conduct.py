"""A planned sweep at work: its record is opened, what is missing is trained, the end is told. Ray must run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ray.tune import Trainable
from rich.console import Console

from db import Recorder, RecordFault, Spool, Store
from experiments.candidates import architecture_record
from experiments.checkpoints import Checkpoints
from experiments.cluster import require_able_nodes
from experiments.driver import Driver
from experiments.jobs import Conditions
from experiments.latencies import Latencies
from experiments.latency_objective import measure_by
from experiments.lead import leading
from experiments.optuna_tables import OptunaTables
from experiments.optuna_view import CLOSE_S, HURRIED_S, OptunaView
from experiments.plan import Plan
from experiments.progress import SweepProgress
from experiments.provenance import provenance
from experiments.ray_run import run
from experiments.slots import Slots, plan_slots, trial_nodes
from experiments.stopping import Stopping
from experiments.trainable import ProxyTrial


def conduct(plan: Plan, stopping: Stopping, console: Console, trainable: type[Trainable] | None = None) -> int:
    """Run the sweep, or go on with it; returns the exit code.

    Raises ValueError for nodes that cannot run its trials, before the record is opened. Raises RecordFault if the
    record is away, full, damaged or another driver's; what was acknowledged is in it.
    """
    config, dataset = plan.config, plan.dataset
    slots = plan_slots(config.resources)
    nodes = trial_nodes(config.resources)
    require_able_nodes(nodes, config.data.resolved(), config.proxy.image_size, dataset.fingerprint)
    told = f"record {config.storage.shown}, {config.seeds} seed(s) a variant, {slots.describe()}"
    console.print(f"{told}\n", highlight=False)
    with Store.open(config.storage.url) as store:
        if store.backup:
            console.print(f"the record is upgraded; as it was, it is kept in {store.backup}", highlight=False)
        store.add_architectures([architecture_record(plan.space.base)])
        store.add_study(plan.study())
        with _recorder(plan, store, stopping, console) as recorder:
            complete = _train(_Work(plan, store, recorder, slots, stopping, console), trainable or ProxyTrial)
        if not complete:
            return _end_early(plan, stopping, console)
        from experiments.conclude import conclude  # what draws the report takes a while to import: not before trials

        return conclude(plan, store, console)


@dataclass(frozen=True)
class _Work:
    plan: Plan
    store: Store
    recorder: Recorder
    slots: Slots
    stopping: Stopping
    console: Console

    def conditions(self) -> Conditions:
        """What all trials share."""
        plan = self.plan
        return Conditions(
            study=plan.config.study_name,
            recipe=plan.config.recipe,
            data=plan.config.data.resolved(),
            data_fingerprint=plan.dataset.fingerprint,
            proxies=plan.proxies,
            provenance=provenance(self.slots.resources()),
        )

    def latencies(self) -> Latencies | None:
        """Where latency is an objective."""
        settings = self.plan.latency
        if settings is None:
            return None
        tell = self.console.print
        return Latencies(
            self.store, self.recorder, settings, measure_by(settings), lambda line: tell(line, highlight=False)
        )


@contextmanager
def _recorder(plan: Plan, store: Store, stopping: Stopping, console: Console) -> Iterator[Recorder]:
    """Lead the study, and write what an earlier run could not."""

    def tell(line: str) -> None:
        console.print(line, highlight=False, markup=False)

    config = plan.config
    with leading(store, config.study_name, (plan.folder, plan.shared), tell) as lead:
        spool = Spool(plan.folder, store)
        replayed = spool.replay(lead)
        if replayed.written:
            tell(f"{replayed.written} writes that an earlier run could not make are in the record now")
        if replayed.unknown:
            where = plan.folder / "spool-*.jsonl"
            tell(f"{replayed.unknown} others, of trials that this record does not have, stay in {where}")
        yield Recorder(store, lead, spool, patience_s=config.storage.wait_s, hurry=lambda: stopping.is_asked, tell=tell)


def _train(work: _Work, trainable: type[Trainable]) -> bool:
    """Run to the end of the suggestions; False if the user ended it before."""
    plan, config = work.plan, work.plan.config
    checkpoints = Checkpoints(plan.shared / "checkpoints")
    axes = [axis.name for axis in plan.space.axes]
    with (
        _view(plan, work.stopping, work.console) as view,
        SweepProgress(work.console, config.proxy.epochs, axes) as progress,
    ):
        driver = Driver(
            work.store,
            work.recorder,
            work.conditions(),
            plan.candidates,
            plan.suggester,
            view,
            plan.objectives,
            progress,
            checkpoints=checkpoints,
            weights=plan.folder / "weights",
            seeds=config.seeds,
            variants=config.variants,
            retry_failed=config.retry_failed,
            max_failures=config.max_failures,
            latencies=work.latencies(),
        )
        with work.stopping.listening():  # until here there was nothing to save, and a signal ends all at once
            try:
                complete = run(
                    driver,
                    work.recorder,
                    config.scheduler,
                    config.proxy.epochs,
                    work.slots,
                    plan.shared,
                    work.stopping,
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
def _view(plan: Plan, stopping: Stopping, console: Console) -> Iterator[OptunaView]:
    config = plan.config
    view = OptunaView(lambda: OptunaTables(config.storage.url, config.study_name, plan.space, plan.objectives))
    is_whole = False
    try:
        yield view
        is_whole = not stopping.is_asked
    finally:
        view.close(CLOSE_S if is_whole else HURRIED_S)
        if view.trouble:
            console.print(
                f"caution: optuna-dashboard shows less than the record ({view.trouble}); the next start of the sweep "
                f"mends it",
                style="yellow",
                highlight=False,
            )


def _end_early(plan: Plan, stopping: Stopping, console: Console) -> int:
    """Say how to go on; no report, which takes its time in a large study."""
    console.print("\nEnded early. All that finished is in the record; the same command goes on:", style="bold")
    console.print(f"  {plan.command}", highlight=False, markup=False)
    return stopping.exit_code
