"""The variants of a study as a table: a row a variant, with what its trials say together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.labels import variant_labels
from analysis.matched import WIDTH_FACTOR, matched_factor
from analysis.metrics import ACCURACY, COLUMNS, Metric
from analysis.noise import MARGIN_POINTS, SeedNoise, mean_half_width, pooled_noise
from analysis.one_experiment import require_one_experiment
from analysis.verdicts import verdict_columns
from db.records import ArchitectureRecord, StudyRecord, TrialRecord, TrialState

Architectures = Mapping[str, ArchitectureRecord]

DEVIATION = f"{ACCURACY.column}_sd"
HALF_WIDTH = f"{ACCURACY.column}_ci95"

VARIANT_COLUMNS = (
    "label", "arch_id", "trained_arch_id", "is_baseline", "seeds",
    *(metric.column for metric in COLUMNS.values()), DEVIATION, WIDTH_FACTOR, "proxy_gmacs", "proxy_params_m",
    *(state.value.lower() for state in TrialState),
)  # fmt: skip


def variant_frame(
    study: StudyRecord,
    trials: Sequence[TrialRecord],
    architectures: Architectures,
    *,
    margin: float = MARGIN_POINTS,
) -> pd.DataFrame:
    """A row a variant (target architecture), the most accurate first, those without a complete trial last.

    Only COMPLETE trials count: in `seeds`, in `val_accuracy_pct` (mean, percent) with its standard deviation
    over seeds (`_sd`) and 95 % half width from the pooled noise (`_ci95`), in `train_seconds` (mean). The
    columns `running` to `interrupted` count the trials in each state. `gmacs` and `params_m` are the
    target's, `proxy_...` those of the network that was trained. `width_factor` is how many times wider matching
    made a variant, empty where none is matched. `difference_points` to `verdict_note` compare
    with the baseline (`analysis.verdicts`).
    Raises ValueError for trials that are not of one experiment.
    """
    require_one_experiment(study, trials)
    columns = _variant_columns(study, trials, architectures)
    frame = pd.DataFrame(columns, dtype=None if trials else object).astype({"is_baseline": bool})
    order = {ACCURACY.column: False, "gmacs": True, "label": True}
    frame = frame.sort_values(list(order), ascending=list(order.values())).reset_index(drop=True)
    noise = seed_noise(frame)
    half_widths = {seeds: _or_nan(mean_half_width(noise, seeds)) for seeds in frame["seeds"].unique().tolist()}
    frame[HALF_WIDTH] = frame["seeds"].map(half_widths).astype(float)
    return frame.join(verdict_columns(frame, noise, margin))


def seed_noise(frame: pd.DataFrame) -> SeedNoise | None:
    """The noise pooled over a variant frame, each trained network once; None if it cannot be known."""
    trained = frame.sort_values("seeds", ascending=False).drop_duplicates("trained_arch_id")
    return pooled_noise(trained[DEVIATION].tolist(), [int(seeds) for seeds in trained["seeds"]])


def _variant_columns(
    study: StudyRecord, trials: Sequence[TrialRecord], architectures: Architectures
) -> dict[str, list[Any]]:
    labels, groups = variant_labels(study, trials), _by_architecture(trials)
    targets = [architectures[arch_id] for arch_id in groups]
    trained_ids = [own[0].trained_arch_id for own in groups.values()]
    counted = [_counted(own) for own in groups.values()]
    states = [[trial.state for trial in own] for own in groups.values()]
    columns: dict[str, list[Any]] = {
        "label": [labels[arch_id] for arch_id in groups],
        "arch_id": list(groups),
        "trained_arch_id": trained_ids,
        "is_baseline": [arch_id == study.baseline_arch_id for arch_id in groups],
        "seeds": [len(own) for own in counted],
        **{metric.column: _means(metric, targets, counted) for metric in COLUMNS.values()},
        DEVIATION: [_deviation(_known(ACCURACY, own)) for own in counted],
        WIDTH_FACTOR: [matched_factor(study, target) for target in targets],
        "proxy_gmacs": _costs("gmacs", trained_ids, architectures),
        "proxy_params_m": _costs("params", trained_ids, architectures),
        **{state.value.lower(): [own.count(state) for own in states] for state in TrialState},
    }
    return {name: columns[name] for name in VARIANT_COLUMNS}


def _means(
    metric: Metric, targets: Sequence[ArchitectureRecord], counted: Sequence[Sequence[TrialRecord]]
) -> list[float]:
    """A metric of each target, or its mean over each variant's trials that count; NaN where there is none."""
    if metric.record is ArchitectureRecord:
        return [_or_nan(value) for value in metric.values(targets)]
    return [_mean(_known(metric, trials)) for trials in counted]


def _known(metric: Metric, trials: Sequence[TrialRecord]) -> list[float]:
    return [value for value in metric.values(trials) if value is not None]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _costs(name: str, arch_ids: Sequence[str], architectures: Architectures) -> list[float]:
    """A metric of each of these networks; NaN where its row is not known."""
    known = [arch_id for arch_id in arch_ids if arch_id in architectures]
    values = COLUMNS[name].values(architectures[arch_id] for arch_id in known)
    by_id = dict(zip(known, values, strict=True))
    return [_or_nan(by_id.get(arch_id)) for arch_id in arch_ids]


def _deviation(values: Sequence[float]) -> float:
    """The sample's standard deviation, exactly 0 for equal values; NaN of fewer than two."""
    if len(values) < 2:
        return math.nan
    if min(values) == max(values):
        return 0.0
    mean = _mean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _counted(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The COMPLETE ones, each seed once: a result that was taken over is not a second witness.

    None at all if a seed was stopped early or failed: the mean of those that survived would flatter the variant.
    """
    last = {trial.seed: trial for trial in trials}.values()
    if any(trial.state in (TrialState.STOPPED, TrialState.FAILED) for trial in last):
        return []
    return [trial for trial in last if trial.state is TrialState.COMPLETE]


def _by_architecture(trials: Iterable[TrialRecord]) -> dict[str, list[TrialRecord]]:
    groups: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        groups.setdefault(trial.arch_id, []).append(trial)
    return groups


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
