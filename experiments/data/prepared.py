"""Data made ready once a process, for all its trials: a worker trains hundreds on the same."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from experiments.data.config import DataConfig
from experiments.data.load import Dataset, load_dataset
from experiments.data.statistics import ChannelStatistics, channel_statistics


@dataclass(frozen=True, eq=False)
class Prepared:
    """A data set with what is counted over its training images."""

    dataset: Dataset
    statistics: ChannelStatistics


@functools.lru_cache(maxsize=2)  # mapped files: what is kept costs no memory of its own
def prepare(config: DataConfig, image_size: int) -> Prepared:
    """The data as `load_dataset` opens them, which raises as told there.

    Files that change on disk while the process lives are not seen: its trials go on with the data they began with.
    """
    dataset = load_dataset(config, image_size)
    return Prepared(dataset, channel_statistics(dataset.train))
