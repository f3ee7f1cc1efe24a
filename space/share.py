"""A share of a space's points: exact, or measured on a sample, with the interval in which it lies."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """A share between 0 and 1."""

    value: float
    low: float
    high: float
    """Where the whole space's share lies, at 95 % confidence; `value` itself where it is exact."""

    @property
    def is_exact(self) -> bool:
        """Whether nothing was left to chance."""
        return self.low == self.high

    @classmethod
    def exactly(cls, value: float) -> Share:
        """A share that is known."""
        return cls(value, value, value)

    @classmethod
    def measured(cls, hits: int, tries: int) -> Share:
        """The share of hits in a random sample, with Wilson's interval, which is sound near 0 and 1 too."""
        if not tries:
            return cls(0.0, 0.0, 1.0)
        z = 1.96
        share, shrink = hits / tries, 1 + z**2 / tries
        middle = (share + z**2 / (2 * tries)) / shrink
        half = z / shrink * math.sqrt(share * (1 - share) / tries + z**2 / (4 * tries**2))
        return cls(share, max(0.0, middle - half), min(1.0, middle + half))
