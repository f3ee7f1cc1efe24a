"""From records to tables: a row a trial, a row a variant."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.labels import variant_labels
from analysis.matched import WIDTH_FACTOR, matched_factor
from analysis.metrics import ACCURACY, COLUMNS, Metric
from analysis.noise import MARGIN_POINTS, SeedNoise, mean_half_width, pooled_noise
from analysis.verdicts import verdict_columns
from db.records import ArchitectureRecord, StudyRecord, TrialRecord, TrialState

Architectures = Mapping[str, ArchitectureRecord]

DEVIATION = f"{ACCURACY.column}_sd"
HALF_WIDTH = f"{ACCURACY.column}_ci95"

TRIAL_COLUMNS = (
    "trial_id", "label", "arch_id", "trained_arch_id", "is_baseline", "variant", "seed", "state",
    "epochs_run", "epochs_planned", *(metric.column for metric in COLUMNS.values()), "val_loss", "reason",
    "reused_from", "retry_of", "started_at", "finished_at", "code_version", "spec_key",
)  # fmt: skip

VARIANT_COLUMNS = (
    "label", "arch_id", "trained_arch_id", "is_baseline", "seeds",
    *(metric.column for metric in COLUMNS.values()), DEVIATION, WIDTH_FACTOR, "proxy_gmacs", "proxy_params_m",
    *(state.value.lower() for state in TrialState),
)  # fmt: skip


def trial_frame(study: StudyRecord, trials: Sequence[TrialRecord], architectures: Architectures) -> pd.DataFrame:
    """A row a trial of any state, in the record's order, with the columns TRIAL_COLUMNS.

    Accuracy is empty unless COMPLETE. Raises ValueError for trials that are not of one experiment.
    """
    _require_one_experiment(study, trials)
    columns = trial_columns(study, trials, architectures, variant_labels(study, trials))
    return pd.DataFrame(columns, dtype=None if trials else object)


def trial_columns(
    study: StudyRecord, trials: Sequence[TrialRecord], architectures: Architectures, labels: Mapping[str, str]
) -> dict[str, list[Any]]:
    """The columns of `trial_frame` as lists, by name; `labels` are those of `variant_labels`."""
    # Trials of one reading share their variants' mappings: each is written once.
    texts = {id(variant): json.dumps(variant) for variant in {id(t.variant): t.variant for t in trials}.values()}
    columns: dict[str, list[Any]] = {
        "trial_id": [trial.id for trial in trials],
        "label": [labels[trial.arch_id] for trial in trials],
        "is_baseline": [trial.arch_id == study.baseline_arch_id for trial in trials],
        "variant": [texts[id(trial.variant)] for trial in trials],
        "state": [trial.state.value for trial in trials],
        "code_version": [trial.provenance.code_version for trial in trials],
        **{metric.column: _trial_numbers(metric, trials, architectures) for metric in COLUMNS.values()},
    }
    own = {name: [getattr(t, name) for t in trials] for name in TRIAL_COLUMNS if name not in columns}
    return {name: (columns | own)[name] for name in TRIAL_COLUMNS}


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
    _require_one_experiment(study, trials)
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


def _trial_numbers(metric: Metric, trials: Sequence[TrialRecord], architectures: Architectures) -> list[float | None]:
    """A metric of each trial, or of its target; no accuracy unless it is COMPLETE."""
    if metric.record is ArchitectureRecord:
        known = {arch_id: metric.of(architectures[arch_id]) for arch_id in {trial.arch_id for trial in trials}}
        return [known[trial.arch_id] for trial in trials]
    if metric is ACCURACY:
        return [metric.of(trial) if trial.state is TrialState.COMPLETE else None for trial in trials]
    return [metric.of(trial) for trial in trials]


def _variant_columns(
    study: StudyRecord, trials: Sequence[TrialRecord], architectures: Architectures
) -> dict[str, list[Any]]:
    labels, groups = variant_labels(study, trials), _by_architecture(trials)
    targets = [architectures[arch_id] for arch_id in groups]
    trained_ids = [own[0].trained_arch_id for own in groups.values()]
    trained = [architectures.get(arch_id) for arch_id in trained_ids]
    counted = [_counted(own) for own in groups.values()]
    states = [Counter(trial.state for trial in own) for own in groups.values()]
    columns: dict[str, list[Any]] = {
        "label": [labels[arch_id] for arch_id in groups],
        "arch_id": list(groups),
        "trained_arch_id": trained_ids,
        "is_baseline": [arch_id == study.baseline_arch_id for arch_id in groups],
        "seeds": [len(own) for own in counted],
        **{metric.column: _means(metric, targets, counted) for metric in COLUMNS.values()},
        DEVIATION: [_deviation(_known(ACCURACY, own)) for own in counted],
        WIDTH_FACTOR: [matched_factor(study, target) for target in targets],
        "proxy_gmacs": [_cost("gmacs", record) for record in trained],
        "proxy_params_m": [_cost("params", record) for record in trained],
        **{state.value.lower(): [count[state] for count in states] for state in TrialState},
    }
    return {name: columns[name] for name in VARIANT_COLUMNS}


def _means(
    metric: Metric, targets: Sequence[ArchitectureRecord], counted: Sequence[Sequence[TrialRecord]]
) -> list[float]:
    """A metric of each target, or its mean over each variant's trials that count; NaN where there is none."""
    if metric.record is ArchitectureRecord:
        return [_or_nan(metric.of(target)) for target in targets]
    return [_mean(_known(metric, trials)) for trials in counted]


def _known(metric: Metric, trials: Sequence[TrialRecord]) -> list[float]:
    return [value for trial in trials if (value := metric.of(trial)) is not None]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _cost(name: str, trained: ArchitectureRecord | None) -> float:
    """A metric of the network that was trained; NaN where its row is not known."""
    return math.nan if trained is None else _or_nan(COLUMNS[name].of(trained))


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


def _require_one_experiment(study: StudyRecord, trials: Sequence[TrialRecord]) -> None:
    """Refuses what must not stand in one average: the spec key hashes recipe, data and fidelity too."""
    specs: dict[tuple[str, int], str] = {}
    for trial in trials:
        if trial.study != study.name:
            raise ValueError(
                f"a frame holds the trials of one study, got one of {trial.study!r} in {study.name!r}; "
                f"make a frame for each"
            )
        if trial.state is not TrialState.COMPLETE:
            continue
        if trial.val_accuracy is None:
            raise ValueError(f"a COMPLETE trial needs an accuracy, got none in trial {trial.id}; mend its row")
        known = specs.setdefault((trial.trained_arch_id, trial.seed), trial.spec_key)
        if known != trial.spec_key:
            raise ValueError(
                f"trials of one study share recipe, data and fidelity, got two specifications of network "
                f"{trial.trained_arch_id} with seed {trial.seed} in {study.name!r}; "
                f"sweep each in a study of its own"
            )


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
