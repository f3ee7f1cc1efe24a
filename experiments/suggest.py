"""Which variant to train next: one suggester for each word of `search=`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import optuna

from experiments.candidates import Candidates, Variant
from experiments.objectives import Direction
from space import Space

ENUMERABLE = 50_000
"""Up to so many points a space is searched exhaustively when proposals repeat themselves."""
ATTEMPTS = 1_000
"""Random points in a row that may be refused before a suggester looks at the whole space."""
PROPOSALS = 10
"""Proposals of a model in a row that may be refused, before chance takes its place: it tends to repeat itself."""

Values = tuple[float, ...]
Distributions = dict[str, optuna.distributions.BaseDistribution]


class Suggester(Protocol):
    """Proposes variants and learns from their results."""

    def suggest(self) -> list[Variant]:
        """Variants to train next, in this order; an empty list if the space has no more."""
        ...

    def learn(self, labels: Mapping[str, str], values: Values) -> None:
        """The objectives' values of a variant, in the order of the objectives."""
        ...


class Grid:
    """Every point, all at once."""

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
    """Points drawn uniformly."""

    def __init__(self, candidates: Candidates, seed: int) -> None:
        self._candidates = candidates
        self._rng = np.random.default_rng(seed)

    def suggest(self) -> list[Variant]:
        """One variant."""
        return any_untaken(self._candidates, self._rng)

    def learn(self, labels: Mapping[str, str], values: Values) -> None:
        """Chance does not learn."""


class Model:
    """Points that one of Optuna's samplers proposes, by ask and tell on a study in memory.

    The record never sees that study, nor what was refused.
    """

    def __init__(
        self, candidates: Candidates, sampler: optuna.samplers.BaseSampler, directions: list[Direction], seed: int
    ) -> None:
        self._candidates = candidates
        self._rng = np.random.default_rng(seed)
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
        return any_untaken(self._candidates, self._rng)

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
            raise ValueError(f"search.name must be one of {', '.join(SUGGESTERS)}, got {self.name!r}")
        if self.population_size < 2:
            raise ValueError(f"search.population_size must be at least 2, got {self.population_size}")
        if self.startup_trials < 1:
            raise ValueError(f"search.startup_trials must be at least 1, got {self.startup_trials}")


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


def any_untaken(candidates: Candidates, rng: np.random.Generator) -> list[Variant]:
    """A variant drawn from those that are left; none if there are none, or too few to be met in a huge space."""
    for _ in range(ATTEMPTS):
        if variant := candidates.take(candidates.space.sample(rng)):
            return [variant]
    if candidates.space.size > ENUMERABLE:
        return []
    left = [labels for labels in candidates.space.points() if candidates.admits(labels)]
    if not left:
        return []
    variant = candidates.take(left[rng.integers(len(left))])
    assert variant is not None
    return [variant]


def _key(labels: Mapping[str, str]) -> str:
    return repr(sorted(labels.items()))
