"""The data set `imagefolder`: image files in train/CLASS/, val/CLASS/ and, if there is one, test/CLASS/."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from experiments.data.parts import Images, Indices, Labels, Parts, Request, Split
from experiments.data.resize import resize_square
from experiments.data.stratify import split_off

_CHUNK = 256
"""Files given to the threads at once."""


@dataclass(frozen=True)
class _Folder:
    """The image files of a split, by class."""

    class_names: tuple[str, ...]
    files: tuple[Path, ...]
    labels: Labels

    def decode(self, split: str, request: Request, chosen: Indices | None = None) -> Split:
        """The chosen files (all by default) as a split: each goes where the request makes room, no two wait."""
        indices = np.arange(len(self.files)) if chosen is None else chosen
        images = request.allocate(split, (len(indices), 3, request.image_size, request.image_size))

        def decode(place: int) -> None:
            images[place] = _decode(self.files[indices[place]], request.image_size)

        with ThreadPoolExecutor() as pool:  # PIL decodes without holding the interpreter
            for start in _shown(range(0, len(indices), _CHUNK), split):
                list(pool.map(decode, range(start, min(start + _CHUNK, len(indices)))))
        return Split(images, self.labels[indices])


def sources(path: Path | None) -> list[Path]:
    """All image files; raises ValueError if the folders are not there."""
    return [file for folder in _folders(path).values() for file in folder.files]


def make(request: Request) -> Parts:
    """RGB images: the short side resized to the image size, then the centre crop.

    With test/ there, val/ validates and test/ tests. Without it val/ is the test split, and a share of each
    class of train/ validates: what steers a search must not judge its winner.
    """
    folders = _folders(request.path)
    train, val = folders["train"], folders["val"]
    if "test" in folders:
        splits = (
            train.decode("train", request),
            val.decode("validation", request),
            folders["test"].decode("test", request),
        )
    else:
        stays, leaves = split_off(train.labels, request.validation_share, request.split_seed)
        splits = (
            train.decode("train", request, stays),
            train.decode("validation", request, leaves),
            val.decode("test", request),
        )
    return Parts(train.class_names, *splits)


def _shown(chunks: range, split: str) -> Iterable[int]:
    """The chunks, their progress shown to whoever looks at a terminal."""
    from rich.console import Console  # only here: training does not need it
    from rich.progress import track

    console = Console(stderr=True)
    return track(chunks, f"decoding {split}", console=console, transient=True, disable=not console.is_terminal)


def _folders(path: Path | None) -> dict[str, _Folder]:
    if path is None or not path.is_dir():
        raise ValueError(f"data set imagefolder needs an existing folder, got {path}; write data.path=FOLDER")
    names = ["train", "val", *(["test"] if (path / "test").is_dir() else [])]
    folders = {name: _list_folder(path / name) for name in names}
    for name, folder in folders.items():
        odd = set(folder.class_names) ^ set(folders["train"].class_names)
        if odd:
            raise ValueError(
                f"train, val and test must have the same classes, {path / name} and {path / 'train'} "
                f"differ in {sorted(odd)[0]!r}; add or remove its folder"
            )
    return folders


def _list_folder(folder: Path) -> _Folder:
    if not folder.is_dir():
        raise ValueError(f"an imagefolder must have train/CLASS/ and val/CLASS/ with images, {folder} is missing")
    names = sorted(child.name for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
    if not names:
        raise ValueError(f"{folder} must have a folder for each class, it has none; sort the images into folders")
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        found = sorted(file for file in (folder / name).iterdir() if not file.name.startswith("."))
        if not found:
            raise ValueError(f"each class must have images, {folder / name} is empty; add images or remove it")
        files += found
        labels += [label] * len(found)
    return _Folder(tuple(names), tuple(files), np.array(labels, np.int64))


def _decode(file: Path, size: int) -> Images:
    """The image as uint8 [3, size, size]."""
    try:
        with Image.open(file) as image:
            pixels = np.asarray(resize_square(image.convert("RGB"), size))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"each file of a class must be an image, {file} cannot be read ({error}); remove it"
        ) from error
    return pixels.transpose(2, 0, 1)
