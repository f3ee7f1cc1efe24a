"""Mistakes in a user's pictures and arrays."""

from __future__ import annotations

import numpy as np
from bad_files import arrays, bad_picture, emptied, file, pictures, png, without
from bad_input import BadInput, Prepare, nothing

PICTURES = "space=tiny_demo data=imagefolder data.path=pictures proxy.image_size=16 recipe.batch_size=2"
ARRAYS = "space=tiny_demo data=npz data.path=own.npz proxy.image_size=16 recipe.batch_size=2"


def own_data(id: str, words: str, *told: str, prepare: Prepare) -> BadInput:
    """A mistake in a user's data: not even the folder of the cache is made."""
    return BadInput(id, "sweep", words, told, prepare)


DATA = [
    own_data("no path", "data=npz", "data set npz needs a path", "write data.path=FILE_OR_FOLDER", prepare=nothing),
    own_data(
        "path for what needs none", "data=digits data.path=x", "takes no path", "leave data.path out", prepare=nothing
    ),
    own_data("folder of images is nowhere", PICTURES, "needs an existing folder, got", "data.path=", prepare=nothing),
    own_data(
        "no val", PICTURES, "pictures/val is missing", "train/CLASS/ and val/CLASS/", prepare=pictures(without("val"))
    ),
    own_data(
        "one class",
        PICTURES,
        "at least two classes, got",
        "train/cat alone",
        "add a folder",
        prepare=pictures(lambda root: [without("train/dog")(root), without("val/dog")(root)]),
    ),
    own_data(
        "empty class", PICTURES, "train/dog is empty", "add images or remove it", prepare=pictures(emptied("train/dog"))
    ),
    own_data(
        "class of one split",
        PICTURES,
        "must have the same classes",
        "'dog'",
        "add or remove its folder",
        prepare=pictures(without("val/dog")),
    ),
    own_data(
        "corrupt image",
        PICTURES,
        "train/dog/bad.png cannot be used",
        "data.skip_bad_images=true",
        prepare=bad_picture(png(30, 30)[:45]),
    ),
    own_data("image of text", PICTURES, "train/dog/bad.png cannot be used", "remove it", prepare=bad_picture(b"text")),
    own_data(
        "image of 1 x 1", PICTURES, "bad.png cannot be used (1 x 1 px", "remove it", prepare=bad_picture(png(1, 1))
    ),
    own_data(
        "bomb of 2,500,000,000 pixels",
        PICTURES,
        "bad.png cannot be used (Image size (2500000000 pixels)",
        "remove",
        prepare=bad_picture(png(50_000, 50_000)),
    ),
    own_data(
        "bomb of 144,000,000 pixels",
        PICTURES,
        "bad.png cannot be used (12000 x 12000 px are more than",
        "remove",
        prepare=bad_picture(png(12_000, 12_000)),
    ),
    own_data(
        "class of bad images alone",
        f"{PICTURES} data.skip_bad_images=true",
        "train/dog has none",
        "add some",
        prepare=pictures(lambda root: [path.write_bytes(b"") for path in (root / "train" / "dog").iterdir()]),
    ),
    own_data(
        "skipping where nothing can be skipped",
        f"{ARRAYS} data.skip_bad_images=true",
        "unknown key",
        "data.",
        prepare=arrays(),
    ),
    own_data("npz is nowhere", ARRAYS, "needs an existing .npz file", "write data.path=FILE.npz", prepare=nothing),
    own_data("npz of text", ARRAYS, "own.npz must be an .npz file", "numpy.savez", prepare=file("own.npz", b"text")),
    own_data(
        "npz cut off",
        ARRAYS,
        "own.npz must be an .npz file",
        "numpy.savez",
        prepare=file("own.npz", b"PK\x03\x04 and no more"),
    ),
    own_data(
        "npz lacks arrays",
        ARRAYS,
        "own.npz must have the arrays",
        "lacks y_test",
        "save all four",
        prepare=arrays(y_test=None),
    ),
    own_data(
        "npz of floats",
        ARRAYS,
        "own.npz: x_train must be uint8",
        "got float64",
        "convert the images",
        prepare=arrays(x_train=np.zeros((40, 8, 8))),
    ),
    own_data(
        "npz of objects",
        ARRAYS,
        "own.npz must be an .npz file with plain arrays",
        "allow_pickle",
        "numpy.savez",
        prepare=arrays(y_train=np.array([{}] * 40)),
    ),
    own_data(
        "npz of two lengths",
        ARRAYS,
        "own.npz: y_test must be whole numbers [8]",
        "save class numbers from 0",
        prepare=arrays(y_test=np.zeros(7, int)),
    ),
    own_data(
        "npz of one class",
        ARRAYS,
        "own.npz: y_train must have at least two classes",
        "add images",
        prepare=arrays(y_train=np.zeros(40, int), y_test=np.zeros(8, int)),
    ),
    own_data(
        "npz with a gap in the classes",
        ARRAYS,
        "y_train must have every class",
        "number the classes 0 to 1",
        prepare=arrays(y_train=np.arange(40) % 2 * 2),
    ),
    own_data(
        "npz with labels below 0",
        ARRAYS,
        "y_train must have every class",
        "from -1 to",
        "number the classes 0",
        prepare=arrays(y_train=np.arange(40) % 2 - 1),
    ),
    own_data(
        "CIFAR-10 is nowhere",
        "data=cifar10 data.path=batches",
        "needs cifar-10-python.tar.gz",
        "data.path=",
        prepare=nothing,
    ),
    own_data(
        "CIFAR-10 cut off",
        "data=cifar10 data.path=c.tar.gz",
        "c.tar.gz must be the archive",
        "again",
        prepare=file("c.tar.gz", b"\x1f\x8b\x08\0 and no more"),
    ),
]
