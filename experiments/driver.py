"""The sweep's decisions and its record: which trial is next, what became of it. Knows no Ray."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from analysis.metrics import Metric
from db import ArchitectureRecord, EpochRecord, Recorder, Store, TrialEnd, TrialRecord, TrialStart, TrialState
from experiments.candidates import Candidates, Variant, architecture_record
from experiments.checkpoint_names import WEIGHTS_FILE
from experiments.checkpoints import Checkpoints
from experiments.history import History, read_history
from experiments.jobs import MEASURED, Conditions, Job, bad_metric
from experiments.latencies import Latencies
from experiments.objectives import values
from experiments.optuna_tables import Shown
from experiments.optuna_view import OptunaView
from experiments.replay import replay
from experiments.resume import Resume, find_resume
from experiments.spec import TrialSpec
from experiments.suggest import Suggester
from experiments.weights import keep_weights

FINISHED = (TrialState.COMPLETE, TrialState.STOPPED, TrialState.FAILED)
STOPPED_EARLY = "stopped early by the scheduler"
ENDED_EARLY = "the sweep ended while it ran"


class Listener(Protocol):
    """Whoever shows the sweep's progress; it is told of results when they are in the record."""

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

    def broken_off(self, trial: TrialRecord, variant: Variant) -> None:
        """A trial ended without a result; another will take its place, now or in a later run."""
        ...


class Driver:
    """Gives out jobs, takes results, and has each recorded. Starting it reconciles with the rows."""

    def __init__(
        self,
        store: Store,
        recorder: Recorder,
        conditions: Conditions,
        candidates: Candidates,
        suggester: Suggester,
        view: OptunaView,
        objectives: tuple[Metric, ...],
        listener: Listener,
        *,
        checkpoints: Checkpoints,
        weights: Path,
        seeds: int,
        variants: int | None,
        retry_failed: bool = False,
        max_failures: int = 3,
        latencies: Latencies | None = None,
    ) -> None:
        """Weights of trained trials go to the folder `weights`; `latencies` are asked where latency is an objective.

        After `max_failures` failed trials a variant is given up. One whose workers die so often in a row, without
        getting further than those before, is such a failure.
        """
        self._store, self._recorder, self._conditions, self._view = store, recorder, conditions, view
        self._latencies, self._checkpoints, self._weights = latencies, checkpoints, weights
        self._candidates, self._suggester = candidates, suggester
        self._objectives, self._listener = objectives, listener
        self._seeds, self._limit = range(seeds), math.inf if variants is None else variants
        self._max_failures = max_failures
        self._queue: deque[tuple[Variant, int]] = deque()
        self._variants: set[str] = set()  # ids of all that were queued
        self._jobs: dict[int, Job] = {}  # what runs, by trial id
        self._epochs: dict[int, list[EpochRecord]] = defaultdict(list)  # of what runs, by trial id
        self._bad_metrics: dict[int, str] = {}  # of what runs, by trial id
        self._waiting: dict[str, list[tuple[Variant, int]]] = defaultdict(list)  # by spec key of what runs
        self._deaths: Counter[tuple[str, int]] = Counter()  # of workers, in a row, none further than those before
        self._given_up: set[tuple[str, int]] = set()
        self._trained: dict[str, TrialRecord] = {}  # what this run completed, by spec key
        self._exhausted = False  # whether the suggester has given all it has
        self._resume(FINISHED[:2] if retry_failed else FINISHED)

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
        """Record an epoch of a running trial; one with a metric that is no finite number fails its trial."""
        if (found := bad_metric(metrics)) is not None:
            self._bad_metrics[trial_id] = found
            return
        measured = {name: float(metrics[name]) for name in MEASURED}
        epoch = EpochRecord(trial_id=trial_id, epoch=int(metrics["epoch"]), **measured)
        self._epochs[trial_id].append(epoch)
        self._recorder.later(epoch)
        self._listener.epoch(epoch)

    def take_end(self, trial_id: int, failure: str | None = None) -> None:
        """Record the end of a trial: complete if all its epochs were taken, otherwise stopped or failed."""
        failure = failure or self._bad_metrics.pop(trial_id, None)
        complete = failure is None and self.is_trained(trial_id)
        state = TrialState.FAILED if failure else TrialState.COMPLETE if complete else TrialState.STOPPED
        job, ended = self._end(trial_id, state, failure or (None if complete else STOPPED_EARLY))
        if complete:
            self._trained[job.spec.key] = ended
        self._failures[job.variant.id] += state is TrialState.FAILED
        self._settle(job.variant, ended)
        for variant, seed in self._waiting.pop(job.spec.key, []):
            if complete:
                self._reuse(variant, seed, ended)
            else:  # an end without a result says nothing of the next attempt
                self._queue.appendleft((variant, seed))

    def take_death(self, trial_id: int, reason: str, *, is_fatal: bool = False) -> None:
        """Record that a trial's worker died; it is retried, from its checkpoint if it has one, but not for ever."""
        job, key = self._jobs[trial_id], self._key(trial_id)
        furthest = max((earlier.epochs_run for earlier in self._unfinished[key]), default=0)
        self._deaths[key] = 0 if len(self._epochs[trial_id]) > furthest else self._deaths[key] + 1
        if is_fatal or self._deaths[key] >= self._max_failures:
            self.take_end(trial_id, reason)
        else:
            self.take_interrupted(trial_id, reason)
            self._queue.appendleft((job.variant, job.spec.seed))

    def take_interrupted(self, trial_id: int, reason: str = ENDED_EARLY) -> None:
        """Record that a trial ended without a result; it is run again, by this run or a later one."""
        job, ended = self._end(trial_id, TrialState.INTERRUPTED, reason)
        self._unfinished[job.variant.id, job.spec.seed].append(ended)
        self._queue.extendleft(reversed(self._waiting.pop(job.spec.key, [])))

    def is_trained(self, trial_id: int) -> bool:
        """Whether a running trial has finished all its epochs."""
        return len(self._epochs[trial_id]) == self._jobs[trial_id].spec.fidelity.epochs

    def take_checkpoint(self, trial_id: int, source: Path) -> None:
        """Keep a checkpoint of a running trial: of one that is trained, its weights."""
        trial = self._jobs[trial_id].trial
        if self.is_trained(trial_id):
            self._recorder.later(keep_weights(trial, source / WEIGHTS_FILE, self._weights))
        elif trial.uid is not None and self._epochs[trial_id]:
            self._recorder.flush()  # a checkpoint is of no use without the epochs before it
            self._checkpoints.keep(trial.uid, len(self._epochs[trial_id]), trial.spec_key, source)

    def interrupt(self, reason: str = ENDED_EARLY) -> None:
        """Record that all that runs has ended without a result."""
        self._recorder.interrupt_running(reason)
        self._view.interrupt()
        self._jobs.clear()
        self._epochs.clear()

    def _resume(self, finished: Sequence[TrialState]) -> None:
        """Take up what the rows say was done, and queue what is missing, the baseline first."""
        baseline = self._candidates.baseline()
        self._baseline = baseline.id
        self._recorder.interrupt_running(ENDED_EARLY)
        history = read_history(self._store, self._conditions.study, finished)
        self._results, self._unfinished, self._failures = history.finished, history.unfinished, history.failures
        replay(self._suggester, self._candidates, history, baseline.id, self._values)
        known = [baseline, *self._still_wanted(history)]
        self._view.show_all([self._shown(variant) for variant in known if self._is_settled(variant)])
        results = [self._results[v.id][seed] for v in known for seed in self._seeds if seed in self._results[v.id]]
        self._listener.known(results)
        # One that proposes step by step is asked when the results that are missing are there, as it was before.
        new = [] if self._suggester.is_stepwise else self._suggested(self._limit - len(known))
        self._enqueue([*known, *new], stored=history.variants)

    def _still_wanted(self, history: History) -> list[Variant]:
        """Variants of earlier runs that this run's budget and number of variants would have let in."""
        earlier: Iterable[Variant] = (v for v in history.variants.values() if v.id != self._baseline)
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

    def _enqueue(self, variants: list[Variant], stored: Collection[str] = ()) -> None:
        self._variants.update(variant.id for variant in variants)
        if new := [variant.record() for variant in variants if variant.id not in stored]:
            self._recorder.add(*new)
        # Seed by seed: an interrupted sweep has then seen every variant rather than some of them often.
        missing = [(v, seed) for seed in self._seeds for v in variants if seed not in self._results[v.id]]
        if self._latencies is not None:
            self._latencies.take_up([variant.arch for variant in variants])
        self._queue.extend(missing)
        self._plan()

    def _plan(self) -> None:
        known = math.isinf(self._limit) or self._exhausted
        trials = (len(self._variants) if known else int(self._limit)) * len(self._seeds)
        self._listener.planned(trials - len(self._given_up))

    def _begin(self, variant: Variant, seed: int) -> Job | None:
        """Start a trial, unless its result is known or about to be, or its network fails time after time."""
        if self._failures[variant.id] >= self._max_failures:
            self._give_up(variant, seed)
            return None
        spec = self._conditions.spec(variant.arch, seed)
        self._view.show(Shown.of(variant, TrialState.RUNNING))
        if any(job.spec.key == spec.key for job in self._jobs.values()):
            self._waiting[spec.key].append((variant, seed))
            return None
        known = self._find_complete(spec.key)
        if known is not None:
            self._reuse(variant, seed, known)
            return None
        return self._start(variant, spec)

    def _find_complete(self, spec_key: str) -> TrialRecord | None:
        version = self._conditions.provenance.code_version
        known = self._trained.get(spec_key)
        return known or self._recorder.patiently(lambda: self._store.find_complete(spec_key, version))

    def _start(self, variant: Variant, spec: TrialSpec) -> Job:
        resume = self._find_resume(self._unfinished[variant.id, spec.seed], spec)
        begun = dataclasses.replace(
            self._trial(variant, spec, TrialState.RUNNING),
            resumed_epochs=len(resume.epochs),
        )
        (stored,) = self._recorder.add(architecture_record(spec.arch), TrialStart(begun, resume.epochs))
        # What is there already, rather than what was read of it for each trial.
        trial = dataclasses.replace(stored, provenance=begun.provenance, variant=begun.variant)
        job = Job(trial, variant, spec, variant.id == self._baseline, resume.checkpoint)
        self._jobs[job.trial_id] = job
        self._listener.started(trial)
        for epoch in resume.epochs:
            own = dataclasses.replace(epoch, trial_id=job.trial_id)
            self._epochs[job.trial_id].append(own)
            self._listener.epoch(own)
        return job

    def _find_resume(self, earlier: Sequence[TrialRecord], spec: TrialSpec) -> Resume:
        store, may_resume = self._store, self._conditions.may_resume
        return self._recorder.patiently(lambda: find_resume(store, self._checkpoints, earlier, spec, may_resume))

    def _trial(self, variant: Variant, spec: TrialSpec, state: TrialState) -> TrialRecord:
        """The row of a training that begins, or whose result is known."""
        earlier = self._unfinished[variant.id, spec.seed]
        retry_of = earlier[-1].id if earlier else None
        return dataclasses.replace(self._conditions.trial(variant, spec, state, retry_of), uid=uuid4().hex)

    def _reuse(self, variant: Variant, seed: int, known: TrialRecord) -> None:
        """Take a result that the same training gave before, in this study or another."""
        spec = self._conditions.spec(variant.arch, seed)
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
        (stored,) = self._recorder.add(architecture_record(spec.arch), trial)
        self._settle(variant, stored)
        self._listener.ended(stored, variant)

    def _end(self, trial_id: int, state: TrialState, reason: str | None) -> tuple[Job, TrialRecord]:
        """Take a trial from what runs, and have its end recorded."""
        job, epochs = self._jobs.pop(trial_id), self._epochs.pop(trial_id, [])
        last = epochs[-1] if state is TrialState.COMPLETE else None
        end = TrialEnd(
            trial_id,
            state,
            epochs_run=len(epochs),
            val_accuracy=last.val_accuracy if last else None,
            val_loss=last.val_loss if last else None,
            train_seconds=sum(epoch.seconds for epoch in epochs) if epochs else None,
            reason=reason,
            finished_at=datetime.now(UTC),
        )
        ended = dataclasses.replace(
            job.trial, **{name: value for name, value in vars(end).items() if name != "trial_id"}
        )
        self._recorder.later(end, lambda: self._acknowledge(ended, job.variant))
        return job, ended

    def _acknowledge(self, ended: TrialRecord, variant: Variant) -> None:
        """The end of a trial is in the record: before, a checkpoint may be all that is left of it."""
        if ended.state is TrialState.INTERRUPTED:
            self._listener.broken_off(ended, variant)
            return
        self._listener.ended(ended, variant)
        for spent in (ended, *self._unfinished.pop((ended.arch_id, ended.seed), [])):
            if spent.uid is not None:
                self._checkpoints.drop(spent.uid)

    def _key(self, trial_id: int) -> tuple[str, int]:
        return self._jobs[trial_id].variant.id, self._jobs[trial_id].spec.seed

    def _give_up(self, variant: Variant, seed: int) -> None:
        self._given_up.add((variant.id, seed))
        self._plan()
        if self._is_settled(variant):
            self._view.show(self._shown(variant))

    def _settle(self, variant: Variant, ended: TrialRecord) -> None:
        """A trial has its result; if it was the variant's last, the variant has its."""
        self._results[variant.id][ended.seed] = ended
        if self._is_settled(variant):
            if (found := self._values(variant)) is not None:
                self._suggester.learn(variant.labels, found)
            self._view.show(self._shown(variant))

    def _is_settled(self, variant: Variant) -> bool:
        results = self._results[variant.id]
        return all(seed in results or (variant.id, seed) in self._given_up for seed in self._seeds)

    def _values(self, variant: Variant) -> tuple[float, ...] | None:
        """The objectives' values of a variant, if every seed is complete."""
        trials = [self._results[variant.id].get(seed) for seed in self._seeds]
        complete = [trial for trial in trials if trial is not None and trial.state is TrialState.COMPLETE]
        if len(complete) < len(self._seeds):
            return None
        latency_ms = None if self._latencies is None else self._latencies.of(variant.arch)
        costs = ArchitectureRecord(variant.id, {}, **vars(variant.cost), latency_ms=latency_ms)
        return values(self._objectives, costs, complete)

    def _shown(self, variant: Variant) -> Shown:
        """A settled variant, as the view is to show it."""
        found = self._values(variant)
        trials = self._results[variant.id].values()
        attributes = {
            f"val_accuracy_seed{trial.seed}": trial.val_accuracy for trial in trials if trial.seed in self._seeds
        }
        if found is not None:
            return Shown.of(variant, TrialState.COMPLETE, found, attributes)
        failed = any(trial.state is TrialState.FAILED for trial in trials)
        return Shown.of(variant, TrialState.FAILED if failed else TrialState.STOPPED, None, attributes)
