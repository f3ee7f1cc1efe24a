"""What a sweep's command line says, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from db import StorageConfig, check_name
from experiments.candidates import Budget
from experiments.cluster import RayConfig
from experiments.data.config import DataConfig
from experiments.fidelity import Fidelity
from experiments.latency_objective import LatencyConfig
from experiments.objectives import read_objectives
from experiments.recipe import Recipe
from experiments.scheduler_config import SchedulerConfig
from experiments.slots import ResourcesConfig
from experiments.suggest import SearchConfig

MOST_TRIALS = 1_000_000


@dataclass(frozen=True)
class SweepConfig:
    """Everything a sweep needs to know. Raises ValueError for a value out of range."""

    space: Mapping[str, Any]
    """What Space.from_dict reads."""
    data: DataConfig
    proxy: Fidelity
    recipe: Recipe
    search: SearchConfig
    scheduler: SchedulerConfig
    budget: Budget
    resources: ResourcesConfig
    latency: LatencyConfig
    ray: RayConfig
    storage: StorageConfig
    objectives: tuple[str, ...]
    """Names of metrics that the search and the front weigh against each other."""
    match: str | None = None
    """A cost that all variants are given by their widths, a key of MATCHES; None: what the space says."""
    study: str | None = None
    """Name in the record; None: the space's, the data's and the match's. The same name goes on with the same sweep."""
    trials: int | None = None
    """Variants to train, the baseline among them; None: all of a grid, 32 otherwise."""
    seeds: int = 2
    """Times that each variant is trained, with seeds 0, 1, ..."""
    seed: int = 0
    """Seed of the suggestions."""
    retry_failed: bool = False
    """Whether trials that failed in an earlier run are run again."""
    max_failures: int = 3
    """Failed trials of one architecture after which it is not proposed again."""
    checkpoint_s: float = 10.0
    """Seconds between two checkpoints of a running trial, which are taken between epochs."""
    runs: str = "runs"
    """Folder for weights and reports, below which each study has its own."""

    def __post_init__(self) -> None:
        if self.trials is not None and not 1 <= self.trials <= MOST_TRIALS:
            raise ValueError(f"trials must be between 1 and {MOST_TRIALS:,}, got {self.trials}; write for example 32")
        if not 1 <= self.seeds <= 1000:
            raise ValueError(f"seeds must be between 1 and 1000, got {self.seeds}; write for example 3")
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or above, got {self.seed}; write for example 0")
        if self.max_failures < 1:
            raise ValueError(f"max_failures must be at least 1, got {self.max_failures}; write for example 3")
        if not self.checkpoint_s >= 0:
            raise ValueError(f"checkpoint_s must be 0 or above, got {self.checkpoint_s:g}; write for example 10")
        if not self.runs:
            raise ValueError("runs must name a folder, got an empty text; write for example runs")
        read_objectives(self.objectives)
        check_name("study", self.study_name)

    @property
    def study_name(self) -> str:
        """The name given, or the one made of space, data and match."""
        match = self.match or self.space.get("match")
        suffix = f"-match-{match}" if match else ""
        if self.study is not None:
            return self.study
        return f"{self.space.get('name', 'space')}-{self.data.name}{suffix}"

    @property
    def variants(self) -> int | None:
        """Most variants to train; None for all that the search gives."""
        if self.trials is None and self.search.name != "grid":
            return 32
        return self.trials
