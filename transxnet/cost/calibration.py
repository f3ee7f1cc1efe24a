"""From sums of parts to whole networks: a line through a few networks that were measured both ways."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from transxnet.arch import ArchConfig
from transxnet.cost.measured_latency import checked_keys

LEAST_SPREAD = 1.5
"""Where the slowest network takes less than this many times the fastest, noise would decide a slope: a factor does."""


@dataclass(frozen=True)
class CalibrationPoint:
    """A network with the sum of its parts and its measured latency."""

    arch: ArchConfig
    sum_ms: float
    measured_ms: float


@dataclass(frozen=True)
class Calibration:
    """measured = slope * sum of parts + offset: in a network, blocks find caches otherwise than alone."""

    slope: float
    offset_ms: float
    points: tuple[CalibrationPoint, ...]

    @classmethod
    def of(cls, points: Sequence[CalibrationPoint]) -> Calibration:
        """The line of Theil and Sen, which a few wild points do not move; through 0 where the points lie close.

        Raises ValueError without a point.
        """
        if not points:
            raise ValueError("a calibration needs at least one measured network, got none; write calibrations=8")
        x, y = [point.sum_ms for point in points], [point.measured_ms for point in points]
        if len(points) < 3 or max(x) < LEAST_SPREAD * min(x):
            return cls(statistics.median(b / a for a, b in zip(x, y, strict=True)), 0.0, tuple(points))
        pairs = combinations(zip(x, y, strict=True), 2)
        slope = statistics.median((d - b) / (c - a) for (a, b), (c, d) in pairs if c != a)
        offset = statistics.median(b - slope * a for a, b in zip(x, y, strict=True))
        return cls(slope, offset, tuple(points))

    def __call__(self, sum_ms: float) -> float:
        """The network's latency in milliseconds."""
        return self.slope * sum_ms + self.offset_ms

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON; `from_dict` is the inverse."""
        points = [{**dataclasses.asdict(point), "arch": point.arch.to_dict()} for point in self.points]
        return {"slope": self.slope, "offset_ms": self.offset_ms, "points": points}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Calibration:
        """The calibration that `to_dict` described; raises ValueError for other keys."""
        values = checked_keys(plain, cls, "a calibration")
        points = [checked_keys(point, CalibrationPoint, "a calibration's point") for point in values["points"]]
        read = [CalibrationPoint(**{**point, "arch": ArchConfig.from_dict(point["arch"])}) for point in points]
        return cls(values["slope"], values["offset_ms"], tuple(read))
