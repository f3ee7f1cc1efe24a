"""The data set `npz`: a numpy file with the arrays x_train, y_train, x_test and y_test."""

from __future__ import annotations

import zlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from experiments.data.parts import Images, Labels, Parts, Request, Split
from experiments.data.resize import resize_images
from experiments.data.stratify import split_off

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
_MOST_CHANNELS = 4


def sources(path: Path | None) -> list[Path]:
    """The file itself; raises ValueError if it is not there."""
    if path is None or not path.is_file():
        raise ValueError(f"data set npz needs an existing .npz file, got {path}; write data.path=FILE.npz")
    return [path]


def make(request: Request) -> Parts:
    """The images, resized; a share of each class of x_train validates. Raises ValueError for wrong arrays."""
    arrays = _read(request.files())
    try:
        return _parts(request, arrays)
    except ValueError as error:
        raise ValueError(f"{request.files()}: {error}") from error


def _parts(request: Request, arrays: dict[str, NDArray[np.generic]]) -> Parts:
    images = {name: _images(name, arrays[name]) for name in ("x_train", "x_test")}
    labels = {name: _labels(name, arrays[name], len(arrays[f"x{name[1:]}"])) for name in ("y_train", "y_test")}
    if images["x_train"].shape[1:] != images["x_test"].shape[1:]:
        shapes = [list(arrays[name].shape) for name in ("x_train", "x_test")]
        raise ValueError(f"x_train and x_test must hold images of one size and channels, got {shapes[0]}, {shapes[1]}")
    classes = _count_classes(labels["y_train"], labels["y_test"])
    train, validation = split_off(labels["y_train"], request.validation_share, request.split_seed)
    resized = resize_images(images["x_train"], request.image_size)
    return Parts(
        tuple(str(label) for label in range(classes)),
        Split(resized[train], labels["y_train"][train]),
        Split(resized[validation], labels["y_train"][validation]),
        Split(resize_images(images["x_test"], request.image_size), labels["y_test"]),
    )


def _read(file: Path) -> dict[str, NDArray[np.generic]]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            missing = [name for name in ARRAYS if name not in archive]
            if not missing:
                return {name: archive[name] for name in ARRAYS}
    except (ValueError, OSError, EOFError, BadZipFile, AttributeError, TypeError, MemoryError, zlib.error) as error:
        raise ValueError(
            f"{file} must be an .npz file with plain arrays {', '.join(ARRAYS)} ({error}); save it with numpy.savez"
        ) from error
    raise ValueError(f"{file} must have the arrays {', '.join(ARRAYS)}, it lacks {', '.join(missing)}; save all four")


def _images(name: str, images: NDArray[np.generic]) -> Images:
    """As [N, C, H, W]."""
    shape = images.shape
    if images.dtype != np.uint8:
        raise ValueError(f"{name} must be uint8 (0 to 255), got {images.dtype}; convert the images and save again")
    if len(shape) not in (3, 4) or 0 in shape or (len(shape) == 4 and shape[3] > _MOST_CHANNELS):
        raise ValueError(
            f"{name} must be [N, H, W] or [N, H, W, C] with C of 1 to {_MOST_CHANNELS}, got {list(shape)}; "
            f"transpose the images and save again"
        )
    planes = images.reshape(*shape[:3], -1).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(planes, dtype=np.uint8)


def _labels(name: str, labels: NDArray[np.generic], count: int) -> Labels:
    if not np.issubdtype(labels.dtype, np.integer) or labels.shape != (count,):
        raise ValueError(
            f"{name} must be whole numbers [{count}], one for each image, got {labels.dtype} "
            f"{list(labels.shape)}; save class numbers from 0"
        )
    return labels.astype(np.int64)


def _count_classes(train: Labels, test: Labels) -> int:
    """Labels of training are 0 to K - 1, none left out, and those of test are among them; gives K."""
    found = np.unique(train)
    if found[0] != 0 or found[-1] != len(found) - 1:
        raise ValueError(
            f"y_train must have every class from 0 to the last, got {len(found)} classes from {found[0]} to "
            f"{found[-1]}; number the classes 0 to {len(found) - 1}"
        )
    if len(found) == 1:
        raise ValueError("y_train must have at least two classes, got 0 alone; add images of another class")
    strange = np.setdiff1d(test, found)
    if len(strange):
        raise ValueError(f"each class of y_test must be in y_train, got {strange[0]}; drop these images or train on it")
    return len(found)
