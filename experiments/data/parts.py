"""What the maker of a data set is asked for, with what it gives.

Letters of shapes: N images, C channels, H = W = image_size pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
Indices = NDArray[np.int64]

SPLITS = ("train", "validation", "test")


Allocate = Callable[[str, tuple[int, ...]], Images]
"""Makes room for the images of a split, by its name and their shape [N, C, H, W]; what is in it is undefined."""


def in_memory(split: str, shape: tuple[int, ...]) -> Images:
    """Room in memory."""
    return np.empty(shape, np.uint8)


@dataclass(frozen=True)
class Request:
    """What a maker is asked for."""

    path: Path | None
    """Where the user's files are; None for data that come with the installed packages."""
    image_size: int
    """Height and width, in pixels, of the images to be made."""
    validation_share: float
    """Share of the training images that become the validation split, between 0 and 1."""
    split_seed: int
    """Decides which training images become the validation split. The test split never depends on it."""
    skip_bad_images: bool = False
    """Whether image files that cannot be used are left out, and told in `Parts.skipped`; otherwise they are errors."""
    allocate: Allocate = in_memory
    """Where a maker may put images that would not fit in memory: the cache keeps such room as it is."""

    def files(self) -> Path:
        """The path, for a maker that needs one."""
        assert self.path is not None, "a record with needs_path has a path, DataConfig checks it"
        return self.path


@dataclass(frozen=True, eq=False)
class Split:
    """Images with their classes."""

    images: Images
    """uint8 [N, C, H, W]."""
    labels: Labels
    """int64 [N], from 0."""

    def __post_init__(self) -> None:
        assert self.images.dtype == np.uint8, "images are uint8"
        assert self.images.ndim == 4, "images are [N, C, H, W]"
        assert self.labels.dtype == np.int64, "labels are int64"
        assert self.labels.shape == self.images.shape[:1], "an image has one label"
        assert len(self.labels), "a split has images"

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Parts:
    """What a maker gives: three splits of disjoint data."""

    class_names: tuple[str, ...]
    """Name of each label."""
    train: Split
    validation: Split
    test: Split
    skipped: tuple[str, ...] = field(default=(), kw_only=True)
    """Image files that were left out because they cannot be used."""

    def __post_init__(self) -> None:
        shapes = {split.images.shape[1:] for split in self.splits}
        assert len(shapes) == 1, "all images have one shape"
        for split in self.splits:
            assert 0 <= split.labels.min() <= split.labels.max() < len(self.class_names), "a label has a name"

    @property
    def splits(self) -> tuple[Split, Split, Split]:
        """Training, validation, test, in the order of SPLITS."""
        return self.train, self.validation, self.test
