"""RandAugment's operations that move pixels: rotation, shear and translation by bilinear sampling.

Images are float32 [B, C, H, W] of 0 to 255; what comes in from outside is grey. Amounts [B] are signed.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

_GREY = 128.0


def rotate(images: Tensor, degrees: Tensor) -> Tensor:
    """Turned around the centre, counterclockwise."""
    angle = degrees.deg2rad()
    return _sample(images, a=angle.cos(), b=-angle.sin(), c=angle.sin(), d=angle.cos())


def shear_x(images: Tensor, slope: Tensor) -> Tensor:
    """Rows moved in proportion to their distance from the middle."""
    return _sample(images, b=slope)


def shear_y(images: Tensor, slope: Tensor) -> Tensor:
    """Columns moved in proportion to their distance from the middle."""
    return _sample(images, c=slope)


def translate_x(images: Tensor, share: Tensor) -> Tensor:
    """Moved left by a share of the width."""
    return _sample(images, x=2 * share)


def translate_y(images: Tensor, share: Tensor) -> Tensor:
    """Moved up by a share of the height."""
    return _sample(images, y=2 * share)


def _sample(
    images: Tensor,
    *,
    a: Tensor | float = 1.0,
    b: Tensor | float = 0.0,
    x: Tensor | float = 0.0,
    c: Tensor | float = 0.0,
    d: Tensor | float = 1.0,
    y: Tensor | float = 0.0,
) -> Tensor:
    """Images whose place (u, v) shows what was at (a u + b v + x, c u + d v + y); 0 is the centre, 1 the edge."""
    matrix = images.new_empty(len(images), 2, 3)
    for place, value in enumerate((a, b, x, c, d, y)):
        matrix[:, place // 3, place % 3] = value
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images - _GREY, grid, align_corners=False).add_(_GREY)
