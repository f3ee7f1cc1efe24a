"""A study as a sweep would leave it, made from numbers alone: the analysis tests' material."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from datetime import UTC, datetime

from analysis.results import Results
from db.records import (
    ArchitectureRecord,
    EpochRecord,
    Provenance,
    StudyRecord,
    TrialRecord,
    TrialState,
)
from space.presets import load_preset
from transxnet.cost import estimate

GROUPS = (1, 2, 3, 4, 6, 8, (2, 2, 3, 4), (2, 2, 4, 4))
PROVENANCE = Provenance("1f3c9ab", {"torch": "2.15.0", "timm": "1.1.2"}, {"cpu": "2 cores", "gpu": None})
STUDY = StudyRecord(
    name="idconv_groups",
    space={
        "name": "idconv_groups",
        "dimensions": [{"field": "idconv_groups", "choices": [1, 2, 3, 4, 6, 8]}],
        "rules": [],
    },
    recipe={"optimizer": "adamw", "learning_rate": 1e-3, "label_smoothing": 0.1, "augment": {"flip": True}},
    data={
        "name": "photos",
        "fingerprint": "9c1185a5c5e9fc54",
        "classes": 15,
        "caution": "photos checks that everything works on real images; it is no benchmark.",
    },
    fidelity={"name": "tiny", "image_size": 32, "width_scale": 0.25, "epochs": 10},
    objectives=("accuracy", "gmacs"),
    baseline_arch_id="arch01",
    command="python -m experiments.sweep space=idconv_groups",
    created_at=datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
)


def trial(arch: int, seed: int, accuracy: float | None, **changes: object) -> TrialRecord:
    """A trial of architecture number `arch`; COMPLETE with that accuracy (0 to 1), else FAILED."""
    state = TrialState.COMPLETE if accuracy is not None else TrialState.FAILED
    record = TrialRecord(
        study=STUDY.name,
        arch_id=f"arch{arch:02d}",
        trained_arch_id=f"proxy{arch:02d}",
        variant={"idconv_groups": GROUPS[arch % len(GROUPS)]},
        seed=seed,
        spec_key=f"spec-{arch}-{seed}",
        state=state,
        epochs_planned=10,
        epochs_run=10 if accuracy is not None else 0,
        provenance=PROVENANCE,
        id=100 * arch + seed + 1,
        val_accuracy=accuracy,
        train_seconds=None if accuracy is None else 11.0 + 0.4 * arch + 0.1 * seed,
    )
    return dataclasses.replace(record, **changes)  # type: ignore[arg-type]


def architecture(arch_id: str, step: int, size: float = 1.0) -> ArchitectureRecord:
    """Costs like those of TransXNet-T with more attention groups: multiply-adds hardly move."""
    macs = round(size * (1.86e9 + 3.5e6 * step))
    return ArchitectureRecord(arch_id, {"name": arch_id}, round(size * (12.5e6 + 1.6e5 * step)), macs, macs, 10**7)


def epochs_of(record: TrialRecord) -> list[EpochRecord]:
    """A rising curve that ends at the trial's accuracy."""
    last = record.val_accuracy if record.val_accuracy is not None else 0.5
    count = record.epochs_run
    return [
        EpochRecord(record.id or 0, e, 2.0 / e, 2.1 / e, last * (1 - 0.6 * 0.6**e), 1e-3, 1.1)
        for e in range(1, count + 1)
    ]


def results(trials: Sequence[TrialRecord], study: StudyRecord = STUDY) -> Results:
    """The study with these trials, and the rows that belong to them."""
    ids = {record.arch_id for record in trials} | {study.baseline_arch_id}
    targets = {arch_id: architecture(arch_id, int(arch_id.removeprefix("arch"))) for arch_id in ids}
    proxies = {p: architecture(p, 0, 0.05) for p in {record.trained_arch_id for record in trials}}
    epochs = [epoch for record in trials for epoch in epochs_of(record)]
    return Results(study, targets | proxies, list(trials), epochs, "sqlite:///runs/transxnet.db")


def with_latency(found: Results) -> Results:
    """The same study with latency in place of multiply-adds; more attention groups are slower."""
    settings = {"device": "cpu", "device_name": "AMD EPYC", "batch": 1, "image_size": None}
    study = dataclasses.replace(found.study, objectives=("accuracy", "latency"), latency=settings)
    targets = {record.arch_id for record in found.trials} | {study.baseline_arch_id}
    measured = {
        arch_id: dataclasses.replace(record, latency_ms=20.0 + int(arch_id.removeprefix("arch")) / 4)
        for arch_id, record in found.architectures.items()
        if arch_id in targets
    }
    return dataclasses.replace(found, study=study, architectures={**found.architectures, **measured})


def with_match(match: str = "gmacs") -> Results:
    """A study of the feed-forward networks, whose variants were matched to the baseline's cost by width."""
    space = dataclasses.replace(load_preset("ffn"), match=match)
    study = dataclasses.replace(STUDY, name="ffn", space=space.to_dict(), baseline_arch_id=space.base.id)
    networks = {labels["ffn"]: space.build(labels) for labels in space.points()}
    costs = {network.id: (network, estimate(network)) for network in networks.values()}
    targets = {
        arch_id: ArchitectureRecord(arch_id, network.to_dict(), cost.params, cost.macs, cost.macs_published, 10**7)
        for arch_id, (network, cost) in costs.items()
    }
    trials = [
        trial(place, s, 0.7 + 0.01 * place + 0.001 * s, study="ffn", arch_id=network.id, variant={"ffn": word})
        for place, (word, network) in enumerate(networks.items())
        for s in range(2)
    ]
    proxies = {record.trained_arch_id: architecture(record.trained_arch_id, 0, 0.05) for record in trials}
    epochs = [epoch for record in trials for epoch in epochs_of(record)]
    return Results(study, targets | proxies, trials, epochs, "sqlite:///runs/transxnet.db")


def realistic(variants: int = 8, seeds: int = 2, noise: float = 0.006, seed: int = 0) -> Results:
    """`variants` x `seeds` COMPLETE trials with random accuracies, one stopped trial and one failed."""
    draw = random.Random(seed)
    true = [0.68 + 0.03 * draw.random() for _ in range(variants)]
    complete = [
        trial(arch, s, round(true[arch] + draw.gauss(0, noise), 4), variant=_variant(arch, variants))
        for arch in range(variants)
        for s in range(seeds)
    ]
    ended = [
        trial(2, 8, None, state=TrialState.STOPPED, epochs_run=3, reason="Pareto rank 3 after epoch 3"),
        trial(3, 9, None, reason="loss is nan in epoch 1 at step 14"),
    ]
    return results([*complete, *(dataclasses.replace(t, variant=_variant(t.seed - 6, variants)) for t in ended)])


def _variant(arch: int, variants: int) -> dict[str, object]:
    if variants <= len(GROUPS):
        return {"idconv_groups": GROUPS[arch % len(GROUPS)]}
    return {
        "idconv_groups": GROUPS[arch % 8],
        "idconv_kernel": (3, 5, 7, 9)[arch // 8 % 4],
        "depth": arch // 32,
    }
