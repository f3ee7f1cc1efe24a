"""Opening a data set at an image size: made once, kept on disk, mapped into memory."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from experiments.data.cache import open_or_make
from experiments.data.config import DataConfig
from experiments.data.parts import Request, Split
from experiments.data.table import DATASETS


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with their classes in three splits of disjoint data.

    Do not send it to another process, which would copy it: call `load_dataset` there to share its pages.
    """

    config: DataConfig
    image_size: int
    """Height and width, in pixels."""
    class_names: tuple[str, ...]
    fingerprint: str
    """Equal exactly if all splits have the same pixels and labels."""
    train: Split
    validation: Split
    """Steers the search."""
    test: Split
    """For exports and final reports only."""
    skipped: tuple[str, ...] = ()
    """Image files that were left out because they cannot be used."""

    @property
    def name(self) -> str:
        """Its name in the table of data sets."""
        return self.config.name

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for colour."""
        return int(self.train.images.shape[1])

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def about(self) -> str:
        """What it is."""
        return DATASETS[self.name].about

    @property
    def caution(self) -> str | None:
        """What its results must not be taken for."""
        return DATASETS[self.name].caution

    @property
    def flip_safe(self) -> bool:
        """Whether an image mirrored left to right still shows its class."""
        return DATASETS[self.name].flip_safe

    def describe(self) -> dict[str, Any]:
        """Plain JSON for the record: what it is, with what is needed to open it again."""
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "classes": self.num_classes,
            "class_names": list(self.class_names),
            "channels": self.channels,
            "image_size": self.image_size,
            "flip_safe": self.flip_safe,
            "sizes": {"train": len(self.train), "validation": len(self.validation), "test": len(self.test)},
            "config": dataclasses.asdict(self.config),
            # Told only where it was asked for, so that studies stored before it was thought of are still the same.
            **({"skipped_images": len(self.skipped)} if self.config.skip_bad_images else {}),
        }


def load_dataset(config: DataConfig, image_size: int) -> Dataset:
    """The data at `image_size` px, from the cache or made now.

    Raises ValueError for files that are missing or cannot be read, OSError if the cache cannot be written.
    """
    if isinstance(image_size, bool) or not isinstance(image_size, int) or image_size < 1:
        raise ValueError(f"image_size must be a whole number of pixels of at least 1, got {image_size!r}")
    path = None if config.path is None else Path(config.path).expanduser()
    request = Request(path, image_size, config.validation_share, config.split_seed, config.skip_bad_images)
    folder = Path(config.cache).expanduser() / f"{config.name}-{_key(config.name, request)}"
    make = DATASETS[config.name].make
    try:
        kept = open_or_make(folder, lambda allocate: make(dataclasses.replace(request, allocate=allocate)))
    except MemoryError as error:
        raise ValueError(
            f"the images of a data set must fit in memory while they are made, got {config.name} at {image_size} px "
            f"({error}); choose a smaller proxy.image_size"
        ) from error
    parts = kept.parts
    return Dataset(config, image_size, parts.class_names, kept.fingerprint, *parts.splits, skipped=parts.skipped)


def _key(name: str, request: Request) -> str:
    """Sixteen hexadecimal digits of a hash of all that decides how the images come out."""
    kind = DATASETS[name]
    files = [(str(file.resolve()), file.stat()) for file in kind.sources(request.path)]
    decides = {
        "version": kind.version,
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "image_size": request.image_size,
        "validation_share": request.validation_share,
        "split_seed": request.split_seed,
        "files": [(file, stat.st_size, stat.st_mtime_ns) for file, stat in files],
        **({"skip_bad_images": True} if request.skip_bad_images else {}),
    }
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:16]
