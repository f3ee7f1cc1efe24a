"""A sweep that was checked and can start. All that can be wrong with it is found here, before anything is written."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from analysis.files import folder_below
from analysis.metrics import Metric
from db import StudyRecord, check_study
from experiments.candidates import Candidates
from experiments.cautions import kernel_caution, proxy_cautions
from experiments.data.load import Dataset, load_dataset
from experiments.data.train_share import require_full_batch, train_share
from experiments.latency_objective import latency_caution, latency_settings
from experiments.objectives import directions, read_objectives
from experiments.preflight import check_before
from experiments.proxies import Proxies
from experiments.suggest import Suggester, make_suggester
from experiments.sweep_config import SweepConfig
from space import Space
from space.match import with_match
from transxnet.cost import LatencySettings


@dataclass(frozen=True)
class Plan:
    """What a sweep is made of, but for the machines that it runs on."""

    config: SweepConfig
    candidates: Candidates
    suggester: Suggester
    dataset: Dataset
    latency: LatencySettings | None
    """How the objective latency is measured; None where it is no objective."""
    folder: Path
    """The study's own, for weights and the report."""
    shared: Path
    """The same where all nodes reach it, for what workers write and read."""
    command: str
    """What the user typed."""

    @property
    def space(self) -> Space:
        """All variants."""
        return self.candidates.space

    @property
    def objectives(self) -> tuple[Metric, ...]:
        """What the search and the front weigh against each other."""
        return read_objectives(self.config.objectives)

    @property
    def proxies(self) -> Proxies:
        """What is trained in place of the variants."""
        return Proxies(self.space, self.config.proxy, self.dataset.channels, self.dataset.num_classes)

    def study(self) -> StudyRecord:
        """The row of the study."""
        data = self.dataset.describe()
        data["config"].pop("cache")  # where copies lie does not make a study another
        return StudyRecord(
            name=self.config.study_name,
            space=self.space.to_dict(),
            recipe=dataclasses.asdict(self.config.recipe),
            data={**data, "caution": self.dataset.caution},
            fidelity=dataclasses.asdict(self.config.proxy),
            objectives=self.config.objectives,
            baseline_arch_id=self.space.base.id,
            command=self.command,
            latency=None if self.latency is None else self.latency.to_dict(),
        )


def make_plan(config: SweepConfig, command: str) -> Plan:
    """Check everything and open the data; raises ValueError for what the user must mend."""
    space, objectives = Space.from_dict(with_match(config.space, config.match)), read_objectives(config.objectives)
    latency = latency_settings(config.latency, objectives)
    candidates = Candidates(space, config.budget)
    suggester = make_suggester(config.search, candidates, directions(objectives), config.seed)
    check_before(config)
    folder = _folder(config, config.runs)
    shared = _folder(config, config.ray.storage or config.runs)
    dataset = load_dataset(config.data.resolved(), config.proxy.image_size)
    _require_fit(config, dataset)
    plan = Plan(config, candidates, suggester, dataset, latency, folder, shared, command)
    check_study(config.storage.url, plan.study())
    return plan


def _folder(config: SweepConfig, root: str) -> Path:
    """The study's own below a root; raises ValueError if it, or what a sweep writes in it, is a link out of there."""
    for written in ("weights", "report", "checkpoints", ".lock"):
        folder_below(Path(root), config.study_name, written)
    return folder_below(Path(root), config.study_name)


def _require_fit(config: SweepConfig, dataset: Dataset) -> None:
    """Raises ValueError if the recipe does not fit the images, so that every trial would fail."""
    config.recipe.require_fit(dataset.image_size)
    require_full_batch(config.recipe.batch_size, len(train_share(dataset.train, config.proxy.data_share)))


def introduce(plan: Plan, console: Console) -> None:
    """Say what is trained, on what, and what to be careful with."""
    config, dataset = plan.config, plan.dataset
    console.print(f"[bold]{config.study_name}[/]: {plan.space.about}", highlight=False)
    splits = {"training": dataset.train, "validation": dataset.validation, "test": dataset.test}
    sizes = ", ".join(f"{len(split):,} {name}" for name, split in splits.items())
    console.print(
        f"data {dataset.name}: {dataset.num_classes} classes, {sizes} images. {dataset.about}", highlight=False
    )
    if dataset.skipped:
        count, first = len(dataset.skipped), dataset.skipped[0]
        console.print(f"{count} files that cannot be used were skipped, {first} first", style="yellow", highlight=False)
    for caution in _cautions(plan):
        console.print(f"caution: {caution}", style="yellow", highlight=False)


def _cautions(plan: Plan) -> list[str]:
    config = plan.config
    kernels = {"train_time": config.resources.kernels, "latency": config.latency.kernels}
    told = [
        plan.dataset.caution,
        *proxy_cautions(plan.proxies),
        latency_caution(plan.latency, config.search.name),
        kernel_caution(plan.space, {name: kernels[name] for name in config.objectives if name in kernels}),
    ]
    return [caution for caution in told if caution]
