"""The data set `digits`: scikit-learn's handwritten digits, read from the file inside its wheel."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from experiments.data.installed import installed_file
from experiments.data.parts import Parts, Request, Split
from experiments.data.resize import resize_images
from experiments.data.stratify import split_off

_BRIGHTEST = 16
_TEST_SHARE = 0.2
_TEST_SEED = 0


def sources(path: Path | None) -> list[Path]:
    """The file that the images come from."""
    return [installed_file("sklearn", "datasets/data/digits.csv.gz")]


def make(request: Request) -> Parts:
    """1797 grey images of 8x8, resized; a fifth is the test split, always the same one."""
    table = np.loadtxt(sources(None)[0], delimiter=",", dtype=np.int64)  # [N, 64 pixels and the digit]
    grey = (table[:, :-1].reshape(-1, 1, 8, 8) * 255 // _BRIGHTEST).astype(np.uint8)
    images, labels = resize_images(grey, request.image_size), table[:, -1]
    kept, test = split_off(labels, _TEST_SHARE, _TEST_SEED)
    train, validation = split_off(labels[kept], request.validation_share, request.split_seed)
    parts = (Split(images[chosen], labels[chosen]) for chosen in (kept[train], kept[validation], test))
    return Parts(tuple("0123456789"), *parts)
