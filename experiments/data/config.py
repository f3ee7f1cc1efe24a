"""Which data a sweep uses."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass
from pathlib import Path

from experiments.data.table import DATASETS


@dataclass(frozen=True)
class DataConfig:
    """Which data, with how they are split. Raises ValueError for an unknown name or a wrong value."""

    name: str
    """A name of the table of data sets."""
    path: str | None = None
    """The user's file or folder, for data sets that do not come with the installed packages."""
    cache: str = "runs/cache"
    """Folder for the decoded images, shared by all trials of a machine; may be deleted at any time."""
    validation_share: float = 0.1
    """Share of the training images that steers the search instead."""
    split_seed: int = 0
    """Decides which training images those are. The test split never depends on it."""
    skip_bad_images: bool = False
    """Whether image files that cannot be used are left out and counted, for data sets that read single files."""

    def __post_init__(self) -> None:
        if self.name not in DATASETS:
            near = difflib.get_close_matches(str(self.name), DATASETS, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"known are {', '.join(DATASETS)}"
            raise ValueError(f"unknown data set {self.name!r}; {remedy}")
        self._check_path()
        if isinstance(self.validation_share, bool) or not 0 < self.validation_share < 1:
            raise ValueError(
                f"validation_share must be above 0 and below 1, got {self.validation_share!r}; write for example 0.1"
            )
        if isinstance(self.split_seed, bool) or not isinstance(self.split_seed, int) or self.split_seed < 0:
            raise ValueError(
                f"split_seed must be a whole number of at least 0, got {self.split_seed!r}; write for example 0"
            )
        if not self.cache:
            raise ValueError("cache must name a folder, got an empty text; write for example runs/cache")

    def _check_path(self) -> None:
        if DATASETS[self.name].needs_path and not self.path:
            raise ValueError(f"data set {self.name} needs a path, got {self.path!r}; write data.path=FILE_OR_FOLDER")
        if not DATASETS[self.name].needs_path and self.path is not None:
            raise ValueError(
                f"data set {self.name} comes with the installed packages and takes no path, "
                f"got {self.path!r}; leave data.path out"
            )

    def resolved(self) -> DataConfig:
        """The same with absolute path and cache, for a process that runs in another folder (a Ray worker)."""
        path = None if self.path is None else str(Path(self.path).expanduser().resolve())
        return dataclasses.replace(self, path=path, cache=str(Path(self.cache).expanduser().resolve()))
