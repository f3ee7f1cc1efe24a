"""A large record of finished studies, as sweeps would leave it, made from a seed in about a minute.

Networks, their proxies, costs and settings are real; accuracies, times and ends come from a generator. Rows go into
the tables in bulk, past the store's methods, which are made for one result at a time.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import count, islice, product
from typing import Any

import numpy as np
from sqlalchemy import Connection, insert

from db import ArchitectureRecord, EpochRecord, Provenance, Store, StudyRecord, TrialRecord, TrialState
from db.engine import open_engine, writing
from db.rows import columns_of
from db.schema import ArchitectureRow, Base, EpochRow, StudyRow, TrialRow
from db.urls import parse_url
from experiments.data.config import DataConfig
from experiments.fidelity import Fidelity
from experiments.jobs import Conditions
from experiments.proxies import Proxies
from experiments.recipe import Recipe
from space.presets import load_preset
from space.space import Space
from transxnet.arch import ArchConfig, StageConfig
from transxnet.columns import ArchColumns
from transxnet.cost import estimate

OBJECTIVES = ("accuracy", "gmacs")
EARLIER = "earlier"
"""A small study, some of whose results the first of the others took over."""
CHANNELS, CLASSES, FINGERPRINT = 3, 10, "9c1185a5c5e9fc54"
SEED_NOISE = 0.006
_MOST_EARLIER = 500
_BATCH = 50_000
_COSTS = ("params", "macs", "macs_published", "activations")
_BEGAN = datetime(2026, 1, 5, 8, tzinfo=UTC)
_STOPPED, _FAILED, _INTERRUPTED = 0.02, 0.01, 0.01
"""Shares of the trials that ended so; an interrupted one is run again."""
_REASONS = (
    "training loss is nan in epoch 2 at step 131",
    "validation loss is inf after epoch 4",
    "CUDA out of memory: tried to allocate 1.25 GiB with 0.98 GiB free; a smaller recipe.batch_size needs less",
    "the worker ended without a word (killed, or out of memory)",
)
_MACHINE = {"host": "node07", "system": "Linux-6.8.0-x86_64", "processor": "AMD EPYC 9354", "cores": 32}
_PACKAGES = {"torch": "2.15.0", "timm": "1.1.2", "numpy": "2.4.1", "ray": "2.55.0", "optuna": "4.7.0"}
PROVENANCES = tuple(
    Provenance(f"0.5.0 {commit}", _PACKAGES, {**_MACHINE, "gpus": ["NVIDIA L40S"], "trial": {"cpus": 4, "gpus": 0.25}})
    for commit in ("11925b7ad004", "723f27a91bbc")
)
"""The code of the first and of the second half of a study."""


@dataclass(frozen=True)
class Size:
    """How much a record holds. Raises ValueError for what cannot be."""

    variants: int = 50_000
    """Different networks in all."""
    seeds: int = 2
    epochs: int = 20
    studies: int = 1
    """Over which the variants are spread evenly."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if getattr(self, field.name) < 1:
                raise ValueError(f"{field.name} must be at least 1, got {getattr(self, field.name)}")
        if self.variants < 2 * self.studies:
            raise ValueError(f"each study needs two variants, got {self.variants} for {self.studies}; add variants")

    @property
    def names(self) -> list[str]:
        """Of the studies."""
        return [f"big{place:02d}" for place in range(self.studies)]

    @property
    def variants_each(self) -> int:
        """Variants of a study, the baseline among them."""
        return self.variants // self.studies


@dataclass(frozen=True)
class Network:
    """A variant at both sizes."""

    labels: dict[str, str]
    target: ArchConfig
    trained: ArchConfig

    @cached_property
    def target_id(self) -> str:
        """The target's id, hashed once."""
        return self.target.id

    @cached_property
    def trained_id(self) -> str:
        """The proxy's id, hashed once."""
        return self.trained.id


@dataclass(frozen=True)
class Made:
    """Rows that were written, by kind."""

    architectures: int
    trials: int
    epochs: int


class Settings:
    """What all studies of the record share, as the benchmark's driver needs it too."""

    def __init__(self, epochs: int) -> None:
        self.space: Space = load_preset("transxnet")
        self.fidelity = Fidelity(image_size=64, stem_stride=4, width_scale=0.5, depth_scale=0.67, epochs=epochs)
        self.recipe = Recipe()
        self.data = DataConfig("digits", cache="cache")

    @cached_property
    def proxies(self) -> Proxies:
        """What is trained in place of the targets."""
        return Proxies(self.space, self.fidelity, CHANNELS, CLASSES)

    def study(self, name: str) -> StudyRecord:
        """The record of a study."""
        return StudyRecord(
            name=name,
            space=self.space.to_dict(),
            recipe=dataclasses.asdict(self.recipe),
            data={"name": self.data.name, "fingerprint": FINGERPRINT, "classes": CLASSES, "channels": CHANNELS},
            fidelity=dataclasses.asdict(self.fidelity),
            objectives=OBJECTIVES,
            baseline_arch_id=self.space.base.id,
            command=f"python -m experiments.sweep space=transxnet search=random study={name}",
            created_at=_BEGAN,
        )

    def conditions(self, study: str) -> Conditions:
        """What a driver of the study gives its trials."""
        return Conditions(study, self.recipe, self.data, FINGERPRINT, self.proxies, PROVENANCES[-1])


def make_record(url: str, size: Size, seed: int = 0) -> Made:
    """Make the database at a URL and fill it; the same seed gives the same rows."""
    Store.open(url).close()
    settings, rng = Settings(size.epochs), np.random.default_rng(seed)
    networks = _networks(settings, size.studies * (size.variants_each - 1) + 1, rng)
    names = [EARLIER, *size.names]
    engine = writing(open_engine(parse_url(url), create=False))
    with engine.begin() as connection:
        architectures = _add(connection, ArchitectureRow, map(columns_of, _architectures(networks)))
        _add(connection, StudyRow, [columns_of(settings.study(name)) for name in names])
        trials = epochs = 0
        known: dict[str, TrialRecord] = {}
        for name, own in zip(names, _spread(networks, size), strict=True):
            records = list(_trials(name, own, size, trials + 1, known, rng))
            trials += _add(connection, TrialRow, map(columns_of, records))
            epochs += _add(connection, EpochRow, _epochs(records, rng))
            known |= {record.spec_key: record for record in records if record.state is TrialState.COMPLETE}
    engine.dispose()
    return Made(architectures, trials, epochs)


def _add(connection: Connection, table: type[Base], rows: Iterable[Mapping[str, Any]]) -> int:
    """How many rows were inserted."""
    left, added = iter(rows), 0
    while batch := list(islice(left, _BATCH)):
        connection.execute(insert(table), batch)
        added += len(batch)
    return added


def _networks(settings: Settings, count: int, rng: np.random.Generator) -> list[Network]:
    """The baseline, then different random ones."""
    space = settings.space
    found = {space.base.id: (dict(space.baseline), space.base)}
    while len(found) < count:
        points = space.sample(count - len(found), rng).points
        for row in range(len(points)):
            arch = points.arch(row)
            found.setdefault(arch.id, (points.labels(row), arch))
    return [Network(labels, arch, settings.proxies.of(arch)) for labels, arch in found.values()]


def _spread(networks: Sequence[Network], size: Size) -> Iterator[list[Network]]:
    """The networks of the earlier study, then those of each other; the baseline is in all."""
    baseline, others, each = networks[0], networks[1:], size.variants_each - 1
    yield [baseline, *others[: min(each, _MOST_EARLIER)]]
    for place in range(size.studies):
        yield [baseline, *others[place * each : (place + 1) * each]]


def _architectures(networks: Sequence[Network]) -> Iterator[ArchitectureRecord]:
    """Of targets and proxies, each once, with their costs."""
    archs = {n.target_id: n.target for n in networks} | {n.trained_id: n.trained for n in networks}
    costs = estimate(ArchColumns.of(list(archs.values())))
    numbers = zip(*(getattr(costs, name).tolist() for name in _COSTS), strict=True)
    for (arch_id, arch), own in zip(archs.items(), numbers, strict=True):
        yield ArchitectureRecord(arch_id, _description(arch), *own)


def _description(arch: ArchConfig) -> dict[str, Any]:
    """What `arch.to_dict()` gives, made quickly."""
    whole = {field.name: getattr(arch, field.name) for field in dataclasses.fields(arch)}
    return {**whole, "image_size": list(arch.image_size), "stages": [_stage(stage) for stage in arch.stages]}


def _stage(stage: StageConfig) -> dict[str, Any]:
    return {**vars(stage), "ffn_kernels": list(stage.ffn_kernels)}


def _trials(
    study: str,
    networks: Sequence[Network],
    size: Size,
    first_id: int,
    known: Mapping[str, TrialRecord],
    rng: np.random.Generator,
) -> Iterator[TrialRecord]:
    """Seed by seed, as a driver runs them; what an earlier study knows is taken over, the interrupted run again."""
    ids = count(first_id)
    variants = _variants(networks, rng)
    planned = len(networks) * size.seeds
    for place, (seed, variant) in enumerate(product(range(size.seeds), variants)):
        network = variant.network
        trial = TrialRecord(
            study=study,
            arch_id=network.target_id,
            trained_arch_id=network.trained_id,
            variant=network.labels,
            seed=seed,
            spec_key=hashlib.sha256(f"{network.trained_id} {seed}".encode()).hexdigest()[:16],
            state=TrialState.RUNNING,
            epochs_planned=size.epochs,
            provenance=PROVENANCES[2 * place // planned],
            id=next(ids),
            started_at=_BEGAN + timedelta(seconds=40 * place),
        )
        if (source := known.get(trial.spec_key)) is not None:
            yield _reused(trial, source)
            continue
        if rng.random() < _INTERRUPTED:
            epochs = int(rng.integers(0, size.epochs))
            yield _ended(trial, variant, TrialState.INTERRUPTED, epochs, "the sweep ended while it ran")
            trial = dataclasses.replace(trial, id=next(ids), retry_of=trial.id)
        # The baseline always completes, so that there is something to compare with.
        yield _result(trial, variant, rng, may_fail=variant is not variants[0])


@dataclass(frozen=True)
class Variant:
    """A network with what is true of it, which its trials show with noise."""

    network: Network
    accuracy: float
    epoch_seconds: float


def _variants(networks: Sequence[Network], rng: np.random.Generator) -> list[Variant]:
    """An effect for each choice, and more for what costs more."""
    effects: dict[tuple[str, str], float] = {}
    own = [
        sum(effects.setdefault(choice, float(rng.normal(0, 0.006))) for choice in network.labels.items())
        for network in networks
    ]
    macs = estimate(ArchColumns.of([network.trained for network in networks])).macs
    larger = np.log(macs / macs[0])
    accuracies = 0.62 + np.array(own) + 0.03 * larger - 0.008 * larger**2
    seconds = (0.6 + macs / 4e7) * rng.normal(1, 0.05, len(networks))
    pairs = zip(networks, accuracies.tolist(), seconds.round(3).tolist(), strict=True)
    return [Variant(network, accuracy, epoch_seconds) for network, accuracy, epoch_seconds in pairs]


def _result(trial: TrialRecord, variant: Variant, rng: np.random.Generator, *, may_fail: bool) -> TrialRecord:
    drawn = rng.random() if may_fail else 1.0
    if drawn < _FAILED:
        reason = _REASONS[int(rng.integers(len(_REASONS)))]
        return _ended(trial, variant, TrialState.FAILED, int(rng.integers(0, 4)), reason)
    if drawn < _FAILED + _STOPPED:
        return _ended(trial, variant, TrialState.STOPPED, int(rng.integers(1, 6)), "stopped early by the scheduler")
    accuracy = min(max(variant.accuracy + float(rng.normal(0, SEED_NOISE)), 0.0), 1.0)
    done = _ended(trial, variant, TrialState.COMPLETE, trial.epochs_planned, None)
    return dataclasses.replace(done, val_accuracy=round(accuracy, 5), val_loss=round(2.4 * (1 - accuracy), 5))


def _ended(trial: TrialRecord, variant: Variant, state: TrialState, epochs: int, reason: str | None) -> TrialRecord:
    epochs = min(epochs, trial.epochs_planned)
    seconds = round(variant.epoch_seconds * epochs, 3)
    finished = (trial.started_at or _BEGAN) + timedelta(seconds=8 + seconds)
    ended = {"state": state, "epochs_run": epochs, "reason": reason, "finished_at": finished}
    return dataclasses.replace(trial, **ended, train_seconds=seconds if epochs else None)


def _reused(trial: TrialRecord, source: TrialRecord) -> TrialRecord:
    taken = ("state", "epochs_run", "val_accuracy", "val_loss", "train_seconds", "provenance", "finished_at")
    return dataclasses.replace(trial, **{name: getattr(source, name) for name in taken}, reused_from=source.id)


def _epochs(trials: Sequence[TrialRecord], rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Columns of EpochRecord: rising curves that end where their trials do."""
    names = [field.name for field in dataclasses.fields(EpochRecord)]
    for trial in trials:
        if trial.reused_from is not None or not trial.epochs_run:
            continue
        last = 0.6 if trial.val_accuracy is None else trial.val_accuracy
        epochs = np.arange(1, trial.epochs_run + 1)
        accuracy = last * (1 - 0.9 * np.exp(-4 * epochs / trial.epochs_planned)) / (1 - 0.9 * np.exp(-4))
        accuracy[:-1] += rng.normal(0, 0.004, len(epochs) - 1)
        columns = (2.6 * (1 - accuracy), 2.4 * (1 - accuracy), accuracy, 1e-3 * (1 - epochs / (len(epochs) + 1)))
        rows = zip(epochs.tolist(), *(column.round(6).tolist() for column in columns), strict=True)
        seconds = (trial.train_seconds or 0.0) / trial.epochs_run
        yield from (dict(zip(names, (trial.id, *row, seconds), strict=True)) for row in rows)
