"""The sweep's decisions and its record: which trial is next, what became of it. Knows no Ray."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from analysis.metrics import Metric
from db import EpochRecord, Provenance, Store, TrialRecord, TrialState
from experiments.candidates import Candidates, EarlierVariant, Variant, architecture_record
from experiments.data.config import DataConfig
from experiments.latencies import Latencies
from experiments.objectives import values
from experiments.optuna_view import OptunaView
from experiments.proxies import Proxies
from experiments.recipe import Recipe
from experiments.spec import TrialSpec
from experiments.suggest import Suggester
from transxnet.arch import ArchConfig

FINISHED = (TrialState.COMPLETE, TrialState.STOPPED, TrialState.FAILED)


@dataclass(frozen=True)
class Conditions:
    """What all trials of a sweep share."""

    study: str
    recipe: Recipe
    data: DataConfig
    data_fingerprint: str
    proxies: Proxies
    provenance: Provenance

    def spec(self, target: ArchConfig, seed: int) -> TrialSpec:
        """The training that stands for `target` under these conditions."""
        arch = self.proxies.of(target)
        return TrialSpec(arch, self.recipe, self.proxies.fidelity, self.data, self.data_fingerprint, seed)


@dataclass(frozen=True)
class Job:
    """A trial that a worker is to run now."""

    trial_id: int
    variant: Variant
    spec: TrialSpec
    is_baseline: bool


class Listener(Protocol):
    """Whoever shows the sweep's progress."""

    def planned(self, trials: int) -> None:
        """How many trials there will be in all."""
        ...

    def known(self, trials: Sequence[TrialRecord]) -> None:
        """What earlier runs finished."""
        ...

    def started(self, trial: TrialRecord) -> None:
        """A worker began."""
        ...

    def epoch(self, epoch: EpochRecord) -> None:
        """A worker finished an epoch."""
        ...

    def ended(self, trial: TrialRecord, variant: Variant) -> None:
        """A trial ended, or an earlier result was taken for it."""
        ...


class Driver:
    """Gives out jobs, takes results, and writes each to the store at once. Starting it reconciles with the rows."""

    def __init__(
        self,
        store: Store,
        conditions: Conditions,
        candidates: Candidates,
        suggester: Suggester,
        view: OptunaView,
        objectives: tuple[Metric, ...],
        listener: Listener,
        *,
        seeds: int,
        variants: int | None,
        retry_failed: bool = False,
        latencies: Latencies | None = None,
    ) -> None:
        """`latencies` are asked where latency is an objective."""
        self._store, self._conditions, self._view = store, conditions, view
        self._latencies = latencies
        self._candidates, self._suggester = candidates, suggester
        self._objectives, self._listener = objectives, listener
        self._seeds, self._limit = range(seeds), math.inf if variants is None else variants
        self._queue: deque[tuple[Variant, int]] = deque()
        self._results: dict[str, dict[int, TrialRecord]] = defaultdict(dict)  # by variant, by seed
        self._retries: dict[tuple[str, int], int] = {}
        self._variants: dict[str, Variant] = {}
        self._shown: set[str] = set()  # variants that run in the view
        self._jobs: dict[int, Job] = {}  # what runs, by trial id
        self._epochs: dict[int, list[EpochRecord]] = defaultdict(list)  # of what runs, by trial id
        self._waiting: dict[str, list[tuple[Variant, int]]] = defaultdict(list)  # by spec key of what runs
        self._finished = FINISHED[:2] if retry_failed else FINISHED
        self._exhausted = False  # whether the suggester has given all it has
        self._resume()

    @property
    def running(self) -> int:
        """Number of trials with a worker."""
        return len(self._jobs)

    def next_job(self) -> Job | None:
        """What to run next; None if there is nothing now, and nothing at all if `running` is 0."""
        while self._queue or self._suggest():
            variant, seed = self._queue.popleft()
            if (job := self._begin(variant, seed)) is not None:
                return job
        return None

    def take_epoch(self, trial_id: int, metrics: Mapping[str, Any]) -> None:
        """Record an epoch of a running trial."""
        fields = {field.name for field in dataclasses.fields(EpochRecord)} - {"trial_id"}
        epoch = EpochRecord(trial_id=trial_id, **{name: metrics[name] for name in fields})
        self._store.add_epoch(epoch)
        self._epochs[trial_id].append(epoch)
        self._listener.epoch(epoch)

    def take_end(self, trial_id: int, failure: str | None = None) -> None:
        """Record the end of a trial: complete if all its epochs were taken, otherwise stopped or failed."""
        job = self._jobs.pop(trial_id)
        ended = self._store.finish_trial(trial_id, **self._outcome(job, failure))
        self._settle(job.variant, ended)
        for variant, seed in self._waiting.pop(job.spec.key, []):
            if ended.state == TrialState.COMPLETE:
                self._reuse(variant, seed, ended)
            else:  # an end without a result says nothing of the next attempt
                self._queue.appendleft((variant, seed))

    def interrupt(self, reason: str) -> None:
        """Record that all that runs has ended without a result."""
        self._store.interrupt_running(self._conditions.study, reason)
        self._view.interrupt()
        self._jobs.clear()
        self._epochs.clear()

    def _resume(self) -> None:
        """Take up what the rows say was done, and queue what is missing, the baseline first."""
        study = self._conditions.study
        self._store.interrupt_running(study, "the sweep ended while it ran")
        architectures = self._store.architectures(study)
        earlier = {}
        baseline = self._candidates.baseline()
        self._baseline = baseline.id
        for trial in self._store.trials(study):
            if trial.arch_id != baseline.id and trial.arch_id not in earlier:
                earlier[trial.arch_id] = EarlierVariant(trial.variant, architectures[trial.arch_id])
            if trial.state in self._finished:
                self._results[trial.arch_id][trial.seed] = trial
            else:
                assert trial.id is not None
                self._retries[trial.arch_id, trial.seed] = trial.id
        self._candidates.taken.update({id: variant.labels for id, variant in earlier.items()})
        known = [baseline, *self._still_wanted(earlier.values())]
        for variant in known:
            self._show_finished(variant)
        finished = [self._results[v.id][seed] for v in known for seed in self._seeds if seed in self._results[v.id]]
        self._listener.known(finished)
        self._enqueue([*known, *self._suggested(self._limit - len(known))])

    def _still_wanted(self, earlier: Iterable[Variant]) -> list[Variant]:
        """Variants of earlier runs that this run's budget and number of variants would have let in."""
        affordable = [v for v in earlier if self._candidates.budget.refusal(v.cost) is None]
        return affordable if len(affordable) < self._limit else affordable[: max(int(self._limit) - 1, 0)]

    def _suggest(self) -> bool:
        self._enqueue(self._suggested(self._limit - len(self._variants)))
        return bool(self._queue)

    def _suggested(self, room: float) -> list[Variant]:
        """New variants, at most `room`; what goes beyond is left for a longer sweep."""
        if room < 1 or self._exhausted:
            return []
        variants = self._suggester.suggest()
        self._exhausted = not variants
        return variants if len(variants) <= room else variants[: int(room)]

    def _enqueue(self, variants: list[Variant]) -> None:
        self._variants.update({variant.id: variant for variant in variants})
        self._store.add_architectures(variant.record for variant in variants if not variant.is_stored)
        if self._latencies is not None:
            self._latencies.take_up([variant.arch for variant in variants])
        # Seed by seed: an interrupted sweep has then seen every variant rather than some of them often.
        missing = [(v, seed) for seed in self._seeds for v in variants if seed not in self._results[v.id]]
        self._queue.extend(missing)
        known = math.isinf(self._limit) or self._exhausted
        self._listener.planned((len(self._variants) if known else int(self._limit)) * len(self._seeds))

    def _begin(self, variant: Variant, seed: int) -> Job | None:
        """Start a trial, unless its result is known or about to be."""
        spec = self._conditions.spec(variant.arch, seed)
        self._show_running(variant)
        if any(job.spec.key == spec.key for job in self._jobs.values()):
            self._waiting[spec.key].append((variant, seed))
            return None
        known = self._store.find_complete(spec.key, self._conditions.provenance.code_version)
        if known is not None:
            self._reuse(variant, seed, known)
            return None
        self._store.add_architectures([architecture_record(spec.arch)])
        trial = self._store.add_trial(self._trial(variant, spec, TrialState.RUNNING))
        assert trial.id is not None
        job = Job(trial.id, variant, spec, is_baseline=variant.id == self._baseline)
        self._jobs[trial.id] = job
        self._listener.started(trial)
        return job

    def _reuse(self, variant: Variant, seed: int, known: TrialRecord) -> None:
        """Take a result that the same training gave before, in this study or another."""
        spec = self._conditions.spec(variant.arch, seed)
        self._store.add_architectures([architecture_record(spec.arch)])
        trial = dataclasses.replace(
            self._trial(variant, spec, TrialState.COMPLETE),
            epochs_run=known.epochs_run,
            val_accuracy=known.val_accuracy,
            val_loss=known.val_loss,
            train_seconds=known.train_seconds,
            reused_from=known.id,
            provenance=known.provenance,
            finished_at=known.finished_at,
        )
        self._settle(variant, self._store.add_trial(trial))

    def _trial(self, variant: Variant, spec: TrialSpec, state: TrialState) -> TrialRecord:
        return TrialRecord(
            study=self._conditions.study,
            arch_id=variant.id,
            trained_arch_id=spec.arch.id,
            variant=variant.labels,
            seed=spec.seed,
            spec_key=spec.key,
            state=state,
            epochs_planned=spec.fidelity.epochs,
            provenance=self._conditions.provenance,
            retry_of=self._retries.get((variant.id, spec.seed)),
        )

    def _outcome(self, job: Job, failure: str | None) -> dict[str, Any]:
        epochs = self._epochs.pop(job.trial_id, [])
        last = epochs[-1] if epochs else None
        complete = failure is None and len(epochs) == job.spec.fidelity.epochs
        stopped = "stopped early by the scheduler"
        state = TrialState.FAILED if failure else TrialState.COMPLETE if complete else TrialState.STOPPED
        return {
            "state": state,
            "epochs_run": len(epochs),
            "val_accuracy": last.val_accuracy if last and complete else None,
            "val_loss": last.val_loss if last and complete else None,
            "train_seconds": sum(epoch.seconds for epoch in epochs) if epochs else None,
            "reason": failure or (None if complete else stopped),
        }

    def _settle(self, variant: Variant, ended: TrialRecord) -> None:
        """A trial has its result; if it was the variant's last, the variant has its."""
        self._results[variant.id][ended.seed] = ended
        self._listener.ended(ended, variant)
        if all(seed in self._results[variant.id] for seed in self._seeds):
            self._finish_variant(variant)

    def _finish_variant(self, variant: Variant) -> None:
        state, found, attributes = self._conclusion(variant)
        if found is not None:
            self._suggester.learn(variant.labels, found)
        if variant.id in self._shown:
            self._shown.discard(variant.id)
            self._view.finish(variant, state, found, attributes)

    def _show_running(self, variant: Variant) -> None:
        if variant.id not in self._shown:
            self._shown.add(variant.id)
            self._view.start(variant)

    def _show_finished(self, variant: Variant) -> None:
        if all(seed in self._results[variant.id] for seed in self._seeds):
            state, found, attributes = self._conclusion(variant)
            if found is not None:
                self._suggester.learn(variant.labels, found)
            self._view.add_finished(variant, state, found, attributes)

    def _conclusion(self, variant: Variant) -> tuple[TrialState, tuple[float, ...] | None, dict[str, Any]]:
        """What a variant's trials come to: values only if every seed is complete."""
        trials = [self._results[variant.id][seed] for seed in self._seeds]
        states = {trial.state for trial in trials}
        attributes = {f"val_accuracy_seed{trial.seed}": trial.val_accuracy for trial in trials}
        if states == {TrialState.COMPLETE}:
            latency_ms = None if self._latencies is None else self._latencies.of(variant.arch)
            found = values(self._objectives, dataclasses.replace(variant.record, latency_ms=latency_ms), trials)
            return TrialState.COMPLETE, found, attributes
        return (TrialState.FAILED if TrialState.FAILED in states else TrialState.STOPPED), None, attributes
