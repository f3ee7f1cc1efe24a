"""The table of data sets: one entry for each, which is all that the rest knows about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from experiments.data import cifar10, digits, imagefolder, npz, photos
from experiments.data.parts import Parts, Request


@dataclass(frozen=True)
class DatasetKind:
    """How a data set is made, with what a user should know about it."""

    make: Callable[[Request], Parts]
    sources: Callable[[Path | None], list[Path]]
    """The files that it is made from: if their size or time changes it is made again."""
    needs_path: bool
    about: str
    caution: str | None = None
    """What its results must not be taken for."""
    flip_safe: bool = True
    """Whether an image mirrored left to right still shows its class."""
    version: int = 1
    """To be raised when the maker changes, so that no cache of an older one is used."""


DATASETS: dict[str, DatasetKind] = {
    "photos": DatasetKind(
        photos.make,
        photos.sources,
        needs_path=False,
        about="crops of the 15 photographs inside scikit-image and scikit-learn; the class is the photograph",
        caution=(
            "a check that everything works on real images, not a benchmark: in an experiment with 13 "
            "small networks it ranked them like CIFAR-10 with Kendall's tau 0.56 (90 % interval 0.24 to 0.84; CIFAR-10 "
            "against itself with another seed: 0.79)"
        ),
    ),
    "digits": DatasetKind(
        digits.make,
        digits.sources,
        needs_path=False,
        about="scikit-learn's 1797 handwritten digits, grey, 8x8",
        caution=(
            "nearly every network gets 96 to 100 % right: in an experiment with 13 small networks it ranked "
            "them like CIFAR-10 with Kendall's tau 0.66"
        ),
        flip_safe=False,
    ),
    "npz": DatasetKind(
        npz.make,
        npz.sources,
        needs_path=True,
        about="your own numpy file with uint8 images x_train, x_test and labels y_train, y_test",
    ),
    "cifar10": DatasetKind(
        cifar10.make,
        cifar10.sources,
        needs_path=True,
        about="CIFAR-10 from its python batches: 60,000 colour images of 10 classes, 32x32",
    ),
    "imagefolder": DatasetKind(
        imagefolder.make,
        imagefolder.sources,
        needs_path=True,
        about="your own image files in train/CLASS/, val/CLASS/ and, if there is one, test/CLASS/",
    ),
}
"""By the name that users type in `data=`."""
