"""The data set `imagefolder`: image files in train/CLASS/, val/CLASS/ and, if there is one, test/CLASS/."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from experiments.data.parts import Images, Indices, Labels, Parts, Request, Split
from experiments.data.resize import resize_square
from experiments.data.stratify import split_off

_CHUNK = 256
"""Files given to the threads at once."""
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""What an image may be, whatever its name says: for others Pillow may start a program, as Ghostscript for EPS."""
_LEAST_SIDE = 2
_MOST_PIXELS = 2**27
"""Of an image file: more than that is a bomb, which a small file can be, or nothing for a network anyway."""


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

        with _decoders() as pool:
            for start in _shown(range(0, len(indices), _CHUNK), split):
                list(pool.map(decode, range(start, min(start + _CHUNK, len(indices)))))
        return Split(images, self.labels[indices])

    def without_bad(self, size: int) -> tuple[_Folder, tuple[str, ...]]:
        """The files that can be used, and the names of the others; raises ValueError if they are all of a class."""
        with _decoders() as pool:
            bad = np.array(list(pool.map(partial(_is_bad, size=size), self.files)), bool)
        kept = np.flatnonzero(~bad)
        for label in np.setdiff1d(self.labels, self.labels[kept]):
            folder = self.files[int(np.argmax(self.labels == label))].parent
            raise ValueError(f"each class must have images that can be used, {folder} has none; add some")
        files = tuple(self.files[index] for index in kept)
        skipped = tuple(str(self.files[index]) for index in np.flatnonzero(bad))
        return _Folder(self.class_names, files, self.labels[kept]), skipped


def sources(path: Path | None) -> list[Path]:
    """All image files; raises ValueError if the folders are not there."""
    return [file for folder in _folders(path).values() for file in folder.files]


def make(request: Request) -> Parts:
    """RGB images: the short side resized to the image size, then the centre crop.

    With test/ there, val/ validates and test/ tests. Without it val/ is the test split, and a share of each
    class of train/ validates: what steers a search must not judge its winner.
    """
    folders, skipped = _folders(request.path), tuple[str, ...]()
    if request.skip_bad_images:
        found = {name: folder.without_bad(request.image_size) for name, folder in folders.items()}
        folders = {name: folder for name, (folder, _) in found.items()}
        skipped = tuple(file for _, bad in found.values() for file in bad)
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
    return Parts(train.class_names, *splits, skipped=skipped)


@contextmanager
def _decoders() -> Iterator[ThreadPoolExecutor]:
    """Threads, as PIL decodes without holding the interpreter; its warning of large images is an error of ours."""
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield pool


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
    if len(folders["train"].class_names) == 1:
        only = path / "train" / folders["train"].class_names[0]
        raise ValueError(f"a data set must have at least two classes, got {only} alone; add a folder of another class")
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
        raise ValueError(
            f"an imagefolder must have train/CLASS/ and val/CLASS/ with images, {folder} is missing; make it"
        )
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
    """The image as uint8 [3, size, size]; raises ValueError for a file that cannot be used."""
    try:
        if not file.is_file():
            raise ValueError("it is no plain file")
        with Image.open(file, formats=_FORMATS) as image:
            _check_sides(*image.size)
            pixels = np.asarray(resize_square(image.convert("RGB"), size))
    except Exception as error:  # a damaged image raises nearly anything
        raise ValueError(
            f"each file of a class must be an image, {file} cannot be used ({error}); remove it, or leave such files "
            f"out with data.skip_bad_images=true"
        ) from error
    return pixels.transpose(2, 0, 1)


def _check_sides(width: int, height: int) -> None:
    if min(width, height) < _LEAST_SIDE:
        raise ValueError(f"{width} x {height} px show nothing, {_LEAST_SIDE} a side are the least")
    if width * height > _MOST_PIXELS:
        raise ValueError(f"{width} x {height} px are more than {_MOST_PIXELS:,}")


def _is_bad(file: Path, size: int) -> bool:
    try:
        _decode(file, size)
    except ValueError:
        return True
    return False
