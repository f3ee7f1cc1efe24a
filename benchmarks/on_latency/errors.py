"""How far predictions lie from what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr


@dataclass(frozen=True)
class Errors:
    """Of one way to predict, over networks that it has not seen."""

    median_percent: float
    """Of the absolute error, relative to what was measured."""
    max_percent: float
    rank_correlation: float
    """Spearman's: 1 if the predictions have the right order."""

    @classmethod
    def of(cls, predicted: Sequence[float], measured: Sequence[float]) -> Errors:
        """For two networks or more."""
        percent = 100 * np.abs(np.array(predicted) / np.array(measured) - 1)
        ranks = spearmanr(predicted, measured).statistic
        return cls(float(np.median(percent)), float(percent.max()), float(ranks))
