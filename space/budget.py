"""What a network may cost: told of one network, or of many at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from transxnet.stage_numbers import Number


class Costly(Protocol):
    """What has a cost: a Cost, or the Costs of many points."""

    @property
    def gmacs(self) -> Number:
        """Multiply-adds by fvcore's convention, in 10^9."""

    @property
    def params_m(self) -> Number:
        """Parameters, in 10^6."""


@dataclass(frozen=True)
class Budget:
    """What a network may cost at its own image size; None is no limit. Raises ValueError unless above 0."""

    max_gmacs: float | None = None
    """Multiply-adds by fvcore's convention, in 10^9."""
    max_params_m: float | None = None
    """Parameters, in 10^6."""

    def __post_init__(self) -> None:
        for name, limit in (("max_gmacs", self.max_gmacs), ("max_params_m", self.max_params_m)):
            if limit is not None and not limit > 0:
                raise ValueError(f"budget.{name} must be above 0, got {limit:g}; leave it out for no limit")

    @property
    def limits(self) -> dict[str, float]:
        """Limit by the cost that it is for: gmacs, params_m."""
        limits = {"gmacs": self.max_gmacs, "params_m": self.max_params_m}
        return {name: limit for name, limit in limits.items() if limit is not None}

    def refusal(self, cost: Costly) -> str | None:
        """Which limit a cost exceeds, if any."""
        return next((f"over budget.max_{name}" for name, exceeds in self._exceeded(cost) if exceeds), None)

    def admits(self, costs: Costly) -> Any:
        """Which of many networks exceed no limit: a mask."""
        admitted: Any = np.ones(np.shape(costs.gmacs), np.bool_)
        for _, exceeds in self._exceeded(costs):
            admitted &= ~exceeds
        return admitted

    def _exceeded(self, cost: Costly) -> Iterator[tuple[str, Any]]:
        return ((name, getattr(cost, name) > limit) for name, limit in self.limits.items())
