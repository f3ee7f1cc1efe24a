"""The data set `cifar10`: the python batches as published, in a folder or in the archive itself."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from experiments.data.array_pickle import load_arrays
from experiments.data.parts import Parts, Request, Split
from experiments.data.resize import resize_images
from experiments.data.stratify import split_off

TRAIN_FILES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_FILE = "test_batch"
META_FILE = "batches.meta"
_FILES = (*TRAIN_FILES, TEST_FILE, META_FILE)
_FOLDER = "cifar-10-batches-py"
_SIDE = 32
_CLASSES = 10
_TRAIN_PER_CLASS = 5000
_TEST_PER_CLASS = 1000
_MOST_BYTES = 2**26
"""A batch has 31 million bytes; more is something else."""


def sources(path: Path | None) -> list[Path]:
    """The archive, or the batches of the folder; raises ValueError if they are not there."""
    if path is not None and path.is_file():
        return [path]
    for folder in (path, path / _FOLDER) if path is not None else ():
        if all((folder / name).is_file() for name in _FILES):
            return [folder / name for name in _FILES]
    raise ValueError(
        f"data set cifar10 needs cifar-10-python.tar.gz or the folder {_FOLDER} with {', '.join(_FILES)}, "
        f"got {path}; write data.path=FOLDER_OR_ARCHIVE"
    )


def make(request: Request) -> Parts:
    """10 classes; a share of each class of the training batches validates. Raises as `read_batches` does."""
    class_names, train, test = read_batches(request.files())
    stays, leaves = split_off(train.labels, request.validation_share, request.split_seed)
    images = resize_images(train.images, request.image_size)
    return Parts(
        class_names,
        Split(images[stays], train.labels[stays]),
        Split(images[leaves], train.labels[leaves]),
        Split(resize_images(test.images, request.image_size), test.labels),
    )


def read_batches(
    path: Path, train_per_class: int = _TRAIN_PER_CLASS, test_per_class: int = _TEST_PER_CLASS
) -> tuple[tuple[str, ...], Split, Split]:
    """Class names, training and test split at 32 px, in the original order.

    Files are known by their shapes and label counts, not by a checksum: rebuilt copies are welcome.
    Raises ValueError for missing files and wrong content.
    """
    batches = {name: _unpickle(name, content) for name, content in _read_files(path)}
    missing = [name for name in _FILES if name not in batches]
    if missing:
        raise ValueError(f"{path} must hold the CIFAR-10 python batches, it lacks {', '.join(missing)}; get it again")
    class_names = tuple(name.decode("ascii") for name in _entry(META_FILE, batches, b"label_names"))
    train = _split(TRAIN_FILES, batches, train_per_class)
    return class_names, train, _split((TEST_FILE,), batches, test_per_class)


def _read_files(path: Path) -> Iterator[tuple[str, bytes]]:
    files = sources(path)
    if files != [path]:
        yield from ((file.name, file.read_bytes()) for file in files)
        return
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = Path(member.name).name
                if name in _FILES and member.isfile() and member.size <= _MOST_BYTES:
                    content = archive.extractfile(member)
                    assert content is not None, "a regular file has content"
                    yield name, content.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise ValueError(
            f"{path} must be the archive of the CIFAR-10 python batches ({error}); get cifar-10-python.tar.gz again"
        ) from error


def _unpickle(name: str, content: bytes) -> dict[bytes, Any]:
    try:
        batch = load_arrays(content)
    except ValueError as error:
        raise ValueError(f"{name}: {error}; get the data again") from error
    if not isinstance(batch, dict):
        raise ValueError(f"{name} must be a dictionary, got {type(batch).__name__}; get the data again")
    return batch


def _entry(name: str, batches: dict[str, dict[bytes, Any]], key: bytes) -> Any:
    if key not in batches[name]:
        raise ValueError(f"{name} must have the key {key.decode()}, got {sorted(batches[name])}; get the data again")
    return batches[name][key]


def _split(names: tuple[str, ...], batches: dict[str, dict[bytes, Any]], per_class: int) -> Split:
    pixels = [_pixels(name, _entry(name, batches, b"data")) for name in names]
    labels = np.concatenate([np.asarray(_entry(name, batches, b"labels"), np.int64) for name in names])
    images = np.concatenate(pixels).reshape(-1, 3, _SIDE, _SIDE)
    counts = np.bincount(labels, minlength=_CLASSES).tolist() if labels.min(initial=0) >= 0 else []
    if len(labels) != len(images) or counts != [per_class] * _CLASSES:
        raise ValueError(
            f"{names[0]} to {names[-1]} must have {per_class} images of each of {_CLASSES} classes, got "
            f"{len(images)} images and labels {counts}; get the data again"
        )
    return Split(images, labels)


def _pixels(name: str, data: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    width = 3 * _SIDE * _SIDE
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != width:
        found = f"{data.dtype} {list(data.shape)}" if isinstance(data, np.ndarray) else type(data).__name__
        raise ValueError(f"data of {name} must be uint8 [N, {width}], got {found}; get the data again")
    return data
