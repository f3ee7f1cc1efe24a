"""Which trials are stopped early, as the command line says it."""

from __future__ import annotations

from dataclasses import dataclass

from space.words import remedy


@dataclass(frozen=True)
class SchedulerConfig:
    """Which trials are stopped early. Raises ValueError for an unknown name or a value out of range."""

    name: str = "none"
    """none, or asha: by accuracy, among trials at the same epoch."""
    grace_epochs: int = 1
    """Epochs that every trial runs."""
    reduction_factor: int = 3
    """One of so many trials goes on at each rung."""

    def __post_init__(self) -> None:
        if self.name not in ("none", "asha"):
            raise ValueError(f"unknown scheduler.name {self.name!r}; {remedy(self.name, ('none', 'asha'))}")
        if self.grace_epochs < 1 or self.reduction_factor < 2:
            raise ValueError(
                f"scheduler.grace_epochs must be at least 1 and reduction_factor at least 2, got "
                f"{self.grace_epochs} and {self.reduction_factor}; leave them out for 1 and 3"
            )
