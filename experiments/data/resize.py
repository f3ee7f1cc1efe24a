"""Bringing images to a square of the wanted size, by integer arithmetic that is the same on every machine."""

from __future__ import annotations

import numpy as np
from PIL import Image

from experiments.data.parts import Images


def resize_square(image: Image.Image, size: int) -> Image.Image:
    """The image with its short side at `size` px, then its centre crop: bilinear, antialiased, no-op at that size."""
    if image.size == (size, size):
        return image
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))


def resize_images(images: Images, size: int) -> Images:
    """Images uint8 [N, C, H, W] of any size as [N, C, size, size]: `resize_square` of each channel."""
    if images.shape[2:] == (size, size):
        return np.ascontiguousarray(images)
    resized = np.empty((*images.shape[:2], size, size), np.uint8)
    for index in np.ndindex(images.shape[:2]):
        resized[index] = np.asarray(resize_square(Image.fromarray(images[index]), size))
    return resized
