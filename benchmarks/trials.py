"""Trials an hour of the platform against the obvious stack, and where the platform's time goes.

python -m benchmarks.trials [WORDS OF A SWEEP] [--sizes 32 64] [--proxy quick] [--trials 8] [--rounds 2] [--out FILE]
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# isort: off
import experiments.sweep  # sets what Ray reads when it is imported

# isort: on
import ray
from hydra import compose, initialize_config_module
from ray import tune
from rich.console import Console
from rich.table import Table

from benchmarks.obvious_stack import obvious_trial
from benchmarks.timed_trial import PARTS, timed_trial
from db import Store
from experiments.cluster import RayConfig, connected
from experiments.data.load import load_dataset
from experiments.fidelity import proxy_arch
from experiments.provenance import code_version, machine, package_versions
from experiments.slots import plan_slots
from experiments.spec import TrialSpec
from experiments.sweep_config import SweepConfig
from space import Space
from space.cli import to_typed

WORK = ("forward", "backward", "optimiser")
"""What a trial is for; evaluation is told apart, the rest is overhead."""
SLOT = ("between", "ends")
"""Of a slot: between the trials of a worker, and before its first and after its last trial, where few trials are."""


@dataclass(frozen=True)
class Work:
    """What each stack is to do: a number of trials of one network, which differ in their seed."""

    words: tuple[str, ...]
    """Of the sweep's command line."""
    trials: int

    def config(self, folder: Path, *words: str) -> SweepConfig:
        """The sweep that does it."""
        places = [f"runs={folder / 'runs'}", f"storage.url=sqlite:///{folder / 'sweeps.db'}"]
        with initialize_config_module("experiments.conf", version_base=None):
            every = [*self.words, "trials=1", f"seeds={self.trials}", *places, *words]
            return to_typed(compose("sweep", every), SweepConfig)


@dataclass(frozen=True)
class Measured:
    """One run of a stack."""

    trials: int
    seconds: float
    """From the first trial's start to the last one's end: without the start of the first workers."""
    start_seconds: float
    """Until the first trial's start."""
    val_accuracy: float
    """Mean of the trials, 0 to 1."""
    shares: dict[str, float] = dataclasses.field(default_factory=dict)
    """Parts of the time that the trials' slots were there, of a trial and of SLOT."""

    @property
    def trials_per_hour(self) -> float:
        """At this pace."""
        return 3600 * self.trials / self.seconds

    @property
    def overhead(self) -> float:
        """Share of the whole time that is no forward, backward or optimiser."""
        return 1 - self._work

    @property
    def overhead_apart(self) -> float:
        """The same of all but evaluation and ends."""
        return 1 - self._work / (1 - self.shares["evaluation"] - self.shares["ends"])

    @property
    def _work(self) -> float:
        return sum(self.shares[name] for name in WORK)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, with what follows from the fields."""
        found = dataclasses.asdict(self) | {"trials_per_hour": self.trials_per_hour}
        return found | ({"overhead": self.overhead, "overhead_apart": self.overhead_apart} if self.shares else {})


def run_platform(work: Work, *words: str) -> Measured:
    """The real sweep, its trial class timed."""
    with tempfile.TemporaryDirectory(prefix="trials-") as name:
        folder = Path(name)
        config = work.config(folder, *words)
        begun = time.time()
        if experiments.sweep.sweep(config, Console(file=io.StringIO()), trainable=timed_trial(folder)) != 0:
            raise RuntimeError("the sweep of the benchmark failed")
        told = [json.loads(file.read_text()) for file in folder.glob("*.json")]
        accuracy = _accuracy(config)
    concurrent = plan_slots(config.resources).concurrent
    return _measured(told, begun, accuracy, concurrent)


def _accuracy(config: SweepConfig) -> float:
    with Store.open(config.storage.url) as store:
        return statistics.mean(trial.val_accuracy or 0.0 for trial in store.trials(config.study_name))


def _measured(told: Sequence[dict[str, Any]], begun: float, accuracy: float, concurrent: int) -> Measured:
    first, last = min(trial["started"] for trial in told), max(trial["ended"] for trial in told)
    there = concurrent * (last - first)
    shares = {part: sum(trial["seconds"][part] for trial in told) / there for part in PARTS}
    spans = [
        max(trial["ended"] for trial in told if trial["worker"] == worker)
        - min(trial["started"] for trial in told if trial["worker"] == worker)
        for worker in {trial["worker"] for trial in told}
    ]
    shares["ends"] = 1 - sum(spans) / there
    shares["between"] = 1 - sum(shares.values())
    return Measured(len(told), last - first, first - begun, accuracy, shares)


def run_obvious(work: Work) -> Measured:
    """Ray Tune as its tutorial has it: one trial a core, each in a new process."""
    with tempfile.TemporaryDirectory(prefix="obvious-") as name:
        config = work.config(Path(name))
        space = Space.from_dict(config.space)
        dataset = load_dataset(config.data.resolved(), config.proxy.image_size)
        arch = proxy_arch(space.base, config.proxy, dataset.channels, dataset.num_classes)
        spec = TrialSpec(arch, config.recipe, config.proxy, config.data.resolved(), dataset.fingerprint, 0)
        slots, begun = plan_slots(config.resources), time.time()
        results = tune.Tuner(
            tune.with_resources(obvious_trial, {"cpu": slots.cpus, "gpu": slots.gpus}),
            param_space={"spec": spec.to_dict(), "seed": tune.grid_search(list(range(work.trials)))},
            run_config=tune.RunConfig(storage_path=name, verbose=0),
        ).fit()
    if results.errors:
        raise RuntimeError(f"{len(results.errors)} trials of the obvious stack failed: {results.errors[0]}")
    metrics = [result.metrics for result in results]
    first, last = min(one["started"] for one in metrics), max(one["ended"] for one in metrics)
    accuracy = statistics.mean(one["val_accuracy"] for one in metrics)
    return Measured(len(metrics), last - first, first - begun, accuracy)


PLATFORM, OBVIOUS = "platform", "obvious stack"


def stacks(cores: int) -> dict[str, Callable[[Work], Measured]]:
    """What is compared, by name."""
    return {
        PLATFORM: run_platform,
        OBVIOUS: run_obvious,
        f"platform, one trial of {cores} threads": lambda work: run_platform(work, f"resources.cpus={cores}"),
    }


def compare(
    work: Work, rounds: int, cores: int, tell: Callable[[str, dict[str, list[Measured]]], None]
) -> dict[str, list[Measured]]:
    """Every stack, `rounds` times in turn, so that a busy machine slows all; `tell` gets each run and all so far."""
    results: dict[str, list[Measured]] = {name: [] for name in stacks(cores)}
    for _ in range(rounds):
        for name, run in stacks(cores).items():
            results[name].append(run(work))
            tell(f"  {name}: {results[name][-1].trials_per_hour:.0f} trials an hour", results)
    return results


def pace_table(title: str, results: dict[str, list[Measured]]) -> Table:
    """A row a stack."""
    table = Table("stack", "trials/hour", "to the obvious", "start s", "accuracy %", title=title)
    obvious = _pace(results[OBVIOUS])
    for name, runs in results.items():
        pace, start = _pace(runs), statistics.median(run.start_seconds for run in runs)
        accuracy = statistics.mean(run.val_accuracy for run in runs)
        table.add_row(name, f"{pace:.0f}", f"{pace / obvious:.2f}x", f"{start:.1f}", f"{100 * accuracy:.1f}")
    return table


def share_table(title: str, runs: Sequence[Measured]) -> Table:
    """Where the platform's time goes, in percent, medians of the runs."""
    table = Table("part", "%", title=title)
    for part in (*PARTS, *SLOT):
        table.add_row(part, f"{100 * statistics.median(run.shares[part] for run in runs):.1f}")
    table.add_section()
    overhead = statistics.median(run.overhead for run in runs)
    apart = statistics.median(run.overhead_apart for run in runs)
    table.add_row("overhead: no forward, backward, optimiser", f"{100 * overhead:.1f}")
    table.add_row("the same of all but evaluation and ends", f"{100 * apart:.1f}")
    return table


def _pace(runs: Sequence[Measured]) -> float:
    return statistics.median(run.trials_per_hour for run in runs)


def arguments() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64], help="image sizes in pixels")
    parser.add_argument("--proxy", default="quick", help="a proxy of experiments.sweep")
    parser.add_argument("--data", default="photos", help="a data set of experiments.sweep")
    parser.add_argument("--space", default="idconv_groups", help="the space whose baseline is trained")
    parser.add_argument("--trials", type=int, default=8, help="of a run")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each stack, in turn")
    parser.add_argument("--epochs", type=int, help="instead of the proxy's")
    parser.add_argument("words", nargs="*", help="more of experiments.sweep's command line, as resources.gpus=0.25")
    parser.add_argument("--quick", action="store_true", help="tiny, to see that all of it works")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/trials.json"))
    return parser.parse_args()


def works(asked: argparse.Namespace) -> dict[int, Work]:
    """By image size."""
    if asked.quick:
        words = ("space=tiny_demo", "data=digits", "proxy.image_size=16", "proxy.epochs=1", "recipe.batch_size=32")
        return {16: Work(words, trials=2)}
    common = (f"space={asked.space}", f"data={asked.data}", f"proxy={asked.proxy}", *asked.words)
    epochs = () if asked.epochs is None else (f"proxy.epochs={asked.epochs}",)
    return {size: Work((*common, f"proxy.image_size={size}", *epochs), asked.trials) for size in asked.sizes}


def conditions() -> dict[str, Any]:
    """What the numbers depend on."""
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return {"date": date, "code": code_version(), "machine": machine(), "packages": package_versions()}


def write(path: Path, found: dict[str, Any]) -> None:
    """As JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n")


def main() -> None:
    """Measure, print and write."""
    asked, console = arguments(), Console()
    found: dict[str, Any] = {**conditions(), "sizes": {}}
    with connected(RayConfig()):
        cores = int(ray.cluster_resources()["CPU"])
        for size, work in works(asked).items():
            console.print(
                f"{size} px, {work.trials} trials a run, {cores} cores: {' '.join(work.words)}", highlight=False
            )

            def tell(line: str, results: dict[str, list[Measured]], size: int = size) -> None:
                console.print(line)
                found["sizes"][size] = {name: [run.to_dict() for run in runs] for name, runs in results.items()}
                write(asked.out, found)  # what is known so far: a later run may fail

            results = compare(work, 1 if asked.quick else asked.rounds, cores, tell)
            console.print(pace_table(f"{size} px", results))
            console.print(share_table(f"{size} px, where the platform's time goes", results[PLATFORM]))
    console.print(f"written to {asked.out}", highlight=False)


if __name__ == "__main__":
    main()
