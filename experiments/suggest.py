"""Which variant to train next: one suggester for each word of `search=`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import optuna

from experiments.candidates import Candidates, Variant
from experiments.objectives import Direction
from space import Space
from space.draws import NothingFeasible
from space.words import remedy

ENUMERABLE = 50_000
"""Points of the largest space whose every point is trained."""
LISTED = 1_000_000
"""Points of the largest space whose feasible points are listed and shuffled, so that chance meets every one of them."""
BATCH = 64
"""Feasible points that chance draws at a time from a larger space."""
ATTEMPTS = 1_000
"""Points of such a draw in a row that may be refused before chance gives up."""
PROPOSALS = 10
"""Proposals of a model in a row that may be refused, before chance takes its place: it tends to repeat itself."""

Values = tuple[float, ...]
Distributions = dict[str, optuna.distributions.BaseDistribution]


class Suggester(Protocol):
    """Proposes variants and learns from their results."""

    @property
    def is_stepwise(self) -> bool:
        """Whether it proposes one by one rather than all at once."""
        ...

    @property
    def learns(self) -> bool:
        """Whether results change what it proposes."""
        ...

    def suggest(self) -> list[Variant]:
        """Variants to train next, in this order; an empty list if the space has no more."""
        ...

    def learn(self, labels: Mapping[str, str], values: Values) -> None:
        """The objectives' values of a variant, in the order of the objectives."""
        ...


class Grid:
    """Every point, all at once."""

    is_stepwise = False
    learns = False

    def __init__(self, candidates: Candidates) -> None:
        """Raises ValueError for a space that nobody would wait for."""
        size = candidates.space.size
        if size > ENUMERABLE:
            raise ValueError(
                f"search=grid trains every point of the space, got {size:,} points in {candidates.space.name}; "
                f"write search=tpe trials=64, or choose a smaller space"
            )
        self._candidates = candidates
        self._given = False

    def suggest(self) -> list[Variant]:
        """All that is left, the first time; nothing thereafter."""
        left, self._given = ([] if self._given else list(self._candidates.untaken())), True
        return left

    def learn(self, labels: Mapping[str, str], values: Values) -> None:
        """A grid has nothing to learn."""


class Random:
    """Points drawn uniformly from the feasible ones: legal, and within the budget."""

    is_stepwise = True
    learns = False

    def __init__(self, candidates: Candidates, seed: int) -> None:
        space = candidates.space
        self._candidates = candidates
        self._is_listed = space.size <= min(LISTED, space.prices.most_enumerated)
        self._feasible = _feasible(candidates, np.random.default_rng(seed), self._is_listed)

    def suggest(self) -> list[Variant]:
        """One variant; none if there are none left, or too few to be met in a huge space."""
        left = self._feasible if self._is_listed else itertools.islice(self._feasible, ATTEMPTS)
        return list(itertools.islice(filter(None, map(self._candidates.take, left)), 1))

    def learn(self, labels: Mapping[str, str], values: Values) -> None:
        """Chance does not learn."""


class Model:
    """Points that one of Optuna's samplers proposes, by ask and tell on a study in memory.

    The record never sees that study, nor what was refused.
    """

    is_stepwise = True
    learns = True

    def __init__(
        self, candidates: Candidates, sampler: optuna.samplers.BaseSampler, directions: list[Direction], seed: int
    ) -> None:
        self._candidates = candidates
        self._chance = Random(candidates, seed)
        self._distributions = distributions(candidates.space)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.create_study(sampler=sampler, directions=directions)
        self._asked: dict[str, optuna.Trial] = {}  # what was given out, by its labels
        self._refused: set[str] = set()

    def suggest(self) -> list[Variant]:
        """One variant: the model's, or any if all that the model proposes is refused."""
        for _ in range(PROPOSALS):
            trial = self._study.ask(self._distributions)
            if variant := self._candidates.take(dict(trial.params)):
                self._asked[_key(variant.labels)] = trial
                return [variant]
            self._refuse(trial)
        return self._chance.suggest()

    def learn(self, labels: Mapping[str, str], values: Values) -> None:
        """Add a result to what the sampler models."""
        trial = self._asked.pop(_key(labels), None)
        if trial is None:  # not proposed by the sampler
            self._study.enqueue_trial(dict(labels))
            trial = self._study.ask(self._distributions)
            _ = trial.relative_params  # has nsga2 note the trial's generation, without which it would not count
        self._study.tell(trial, list(values))

    def _refuse(self, trial: optuna.Trial) -> None:
        """Illegal or too expensive is told once, as pruned, so that tpe keeps away; what is taken, as failed."""
        key, taken = _key(trial.params), trial.params in self._candidates.taken.values()
        state = optuna.trial.TrialState.FAIL if taken or key in self._refused else optuna.trial.TrialState.PRUNED
        self._refused.add(key)
        self._study.tell(trial, state=state)


@dataclass(frozen=True)
class SearchConfig:
    """How variants are proposed. Raises ValueError for an unknown name."""

    name: str = "grid"
    """grid, random, tpe or nsga2."""
    population_size: int = 16
    """Variants a generation of nsga2."""
    startup_trials: int = 10
    """Variants that tpe draws at random before it models."""

    def __post_init__(self) -> None:
        if self.name not in SUGGESTERS:
            raise ValueError(f"unknown search.name {self.name!r}; {remedy(self.name, SUGGESTERS)}")
        if self.population_size < 2:
            raise ValueError(f"search.population_size must be at least 2, got {self.population_size}; write 16")
        if self.startup_trials < 1:
            raise ValueError(f"search.startup_trials must be at least 1, got {self.startup_trials}; write 10")


def make_suggester(config: SearchConfig, candidates: Candidates, directions: list[Direction], seed: int) -> Suggester:
    """The suggester that a config names; one seed, one sequence of proposals."""
    return SUGGESTERS[config.name](config, candidates, directions, seed)


def _tpe(config: SearchConfig, candidates: Candidates, directions: list[Direction], seed: int) -> Suggester:
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=config.startup_trials)
    return Model(candidates, sampler, directions, seed)


def _nsga2(config: SearchConfig, candidates: Candidates, directions: list[Direction], seed: int) -> Suggester:
    sampler = optuna.samplers.NSGAIISampler(seed=seed, population_size=config.population_size)
    return Model(candidates, sampler, directions, seed)


SUGGESTERS: dict[str, Callable[[SearchConfig, Candidates, list[Direction], int], Suggester]] = {
    "grid": lambda config, candidates, directions, seed: Grid(candidates),
    "random": lambda config, candidates, directions, seed: Random(candidates, seed),
    "tpe": _tpe,
    "nsga2": _nsga2,
}


def distributions(space: Space) -> Distributions:
    """The space's axes as Optuna's categorical distributions over labels."""
    return {axis.name: optuna.distributions.CategoricalDistribution(axis.labels) for axis in space.axes}


def _feasible(candidates: Candidates, rng: np.random.Generator, is_listed: bool) -> Iterator[dict[str, str]]:
    """Feasible points in random order: each once if they are listed, else drawn without end, if there are any."""
    space, admits = candidates.space, candidates.budget.admits
    if is_listed:
        points = space.enumerate(admits)
        yield from map(points.labels, rng.permutation(len(points)).tolist())
        return
    while True:
        try:
            points = space.sample(BATCH, rng, admits).points
        except NothingFeasible:
            return
        yield from map(points.labels, range(len(points)))


def _key(labels: Mapping[str, str]) -> str:
    return repr(sorted(labels.items()))
