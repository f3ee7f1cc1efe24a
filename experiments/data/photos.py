"""The data set `photos`: crops of the photographs inside the scikit-image and scikit-learn wheels.

The class is the photograph. A photograph is cut into blocks, a block belongs to one split, a crop lies in one
block: so no pixel is in two splits. Colour and brightness are drawn anew for each crop, so that they do not
answer. Only integers are drawn and summed, so that every machine makes the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from experiments.data.installed import installed_file
from experiments.data.parts import Images, Parts, Request, Split
from experiments.data.resize import resize_square

PHOTOS: dict[str, tuple[str, str]] = {
    "astronaut": ("skimage", "data/astronaut.png"),
    "brick": ("skimage", "data/brick.png"),
    "camera": ("skimage", "data/camera.png"),
    "chelsea": ("skimage", "data/chelsea.png"),
    "china": ("sklearn", "datasets/images/china.jpg"),
    "coffee": ("skimage", "data/coffee.png"),
    "coins": ("skimage", "data/coins.png"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
    "grass": ("skimage", "data/grass.png"),
    "gravel": ("skimage", "data/gravel.png"),
    "hubble": ("skimage", "data/hubble_deep_field.jpg"),
    "ihc": ("skimage", "data/ihc.png"),
    "motorcycle": ("skimage", "data/motorcycle_left.png"),
    "retina": ("skimage", "data/retina.jpg"),
    "rocket": ("skimage", "data/rocket.jpg"),
}
"""Package and file of each class."""

IMAGES_PER_CLASS = (400, 128, 128)
"""In training, validation, test."""

_SHORT_SIDE = 384
_BLOCK = 64
_SMALLEST_CROP = 32
_TEST_SHARE = 0.2
_TEST_SEED = 0
# Standard deviations of grey below which there is nothing to recognise: sky, the black around retina.
_FLAT_BLOCK = 8
_FLAT_CROP = 7
_CROP_TRIES = 10

# Images here are [N, H, W, RGB]; a block or a crop is [H, W, RGB].
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def sources(path: Path | None) -> list[Path]:
    """The files that the images come from."""
    return [installed_file(package, file) for package, file in PHOTOS.values()]


def make(request: Request) -> Parts:
    """15 classes; of the blocks, validation_share validate, a fifth test, the others train."""
    crops: tuple[list[Images], ...] = ([], [], [])
    for label, source in enumerate(sources(None)):
        blocks = cut_blocks(source)
        assigned = assign_blocks(len(blocks), label, request.validation_share, request.split_seed)
        for part, (chosen, count) in enumerate(zip(assigned, IMAGES_PER_CLASS, strict=True)):
            rng = np.random.default_rng([label, part])
            plain = _crops([blocks[index] for index in chosen], count, request.image_size, rng)
            crops[part].append(recolour(plain, rng))
    return Parts(tuple(PHOTOS), *(_as_split(part) for part in crops))


def cut_blocks(source: Path) -> list[Images]:
    """The blocks of the photograph, 64 px each, that show something, with its short side scaled to 384 px."""
    with Image.open(source) as opened:
        photo = opened.convert("RGB")
    width, height = (round(side * _SHORT_SIDE / min(photo.size)) for side in photo.size)
    pixels = np.asarray(photo.resize((width, height), Image.Resampling.BILINEAR))
    corners = np.ndindex(height // _BLOCK, width // _BLOCK)
    blocks = [pixels[y * _BLOCK :, x * _BLOCK :][:_BLOCK, :_BLOCK] for y, x in corners]
    return [block for block in blocks if not _is_flat(block, _FLAT_BLOCK)]


def assign_blocks(count: int, label: int, validation_share: float, split_seed: int) -> tuple[Ints, Ints, Ints]:
    """Disjoint indices of the blocks for training, validation and test, which does not depend on the seed."""
    tests = round(count * _TEST_SHARE)
    shuffled = np.random.default_rng([_TEST_SEED, label]).permutation(count)
    kept = np.random.default_rng([split_seed, label]).permutation(shuffled[tests:])
    validations = min(max(round(count * validation_share), 1), len(kept) - 1)
    return kept[validations:], kept[:validations], shuffled[:tests]


def recolour(crops: Images, rng: np.random.Generator) -> Images:
    """The crops with saturation, contrast and brightness drawn anew and their channels in a random order."""
    count = len(crops)
    grey = _grey(crops)[..., None]
    colour = crops.astype(np.int64) - grey
    saturation = _uniform(rng, 0.0, 1.0, (count, 1, 1, 1))
    shape = _centred(grey) + saturation * _centred(colour)
    contrast = _uniform(rng, 0.7, 1.4, (count, 1, 1, 1)) * _uniform(rng, 0.7, 1.3, (count, 1, 1, 3))
    level = _uniform(rng, 80.0, 176.0, (count, 1, 1, 1)) + _uniform(rng, -30.0, 30.0, (count, 1, 1, 3))
    pixels = np.clip(np.rint(shape * contrast + level), 0, 255).astype(np.uint8)
    order = rng.permuted(np.tile(np.arange(3), (count, 1)), axis=1)
    return np.take_along_axis(pixels, order[:, None, None, :], axis=-1)


def _crops(blocks: Sequence[Images], count: int, size: int, rng: np.random.Generator) -> Images:
    return np.stack([_crop(blocks, size, rng) for _ in range(count)])


def _crop(blocks: Sequence[Images], size: int, rng: np.random.Generator) -> Images:
    """A random square of a random block, resized; drawn again while it is flat, as often as _CROP_TRIES."""
    for _ in range(_CROP_TRIES):
        block = blocks[int(rng.integers(len(blocks)))]
        side = int(rng.integers(_SMALLEST_CROP, _BLOCK + 1))
        y, x = rng.integers(0, _BLOCK - side + 1, 2)
        crop = block[y : y + side, x : x + side]
        if not _is_flat(crop, _FLAT_CROP):
            break
    # A copy, so that the filter of the resize cannot reach over the crop's edge.
    return np.asarray(resize_square(Image.fromarray(crop.copy()), size))


def _is_flat(pixels: Images, least: int) -> bool:
    """Whether the standard deviation of grey is below `least`, in whole numbers."""
    grey = _grey(pixels)
    variance = grey.size * int((grey * grey).sum()) - int(grey.sum()) ** 2
    return variance < (least * grey.size) ** 2


def _grey(pixels: Images) -> Ints:
    red, green, blue = np.moveaxis(pixels.astype(np.int64), -1, 0)
    grey: Ints = (77 * red + 151 * green + 28 * blue) >> 8
    return grey


def _centred(values: Ints) -> Floats:
    means: Floats = values.mean(axis=(1, 2), keepdims=True)  # a sum of integers is exact in any order
    return values - means


def _uniform(rng: np.random.Generator, low: float, high: float, shape: tuple[int, ...]) -> Floats:
    drawn: Floats = low + (high - low) * rng.integers(0, 1025, shape) / 1024
    return drawn


def _as_split(crops: list[Images]) -> Split:
    """Crops [H, W, RGB] by class as one split in channel order."""
    labels = np.repeat(np.arange(len(crops)), [len(part) for part in crops])
    return Split(np.ascontiguousarray(np.concatenate(crops).transpose(0, 3, 1, 2)), labels.astype(np.int64))
