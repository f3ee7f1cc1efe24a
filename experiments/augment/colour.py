"""RandAugment's operations that change values in place: light, colour, sharpness and number of levels.

Images are float32 [B, C, H, W] of 0 to 255. The definitions are those of torchvision and PIL.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_WHITE = 255
_LEVELS = _WHITE + 1
_LUMA = (0.2989, 0.587, 0.114)


def brightness(images: Tensor, change: Tensor) -> Tensor:
    """Blended with black; 0 changes nothing, -1 gives black."""
    return _blend(images, torch.zeros_like(images), change)


def contrast(images: Tensor, change: Tensor) -> Tensor:
    """Blended with the image's mean grey; 0 changes nothing, -1 gives that grey."""
    return _blend(images, grey(images).mean(dim=(1, 2, 3), keepdim=True), change)


def saturation(images: Tensor, change: Tensor) -> Tensor:
    """Blended with the grey image; 0 changes nothing, -1 gives grey."""
    return _blend(images, grey(images), change)


def sharpness(images: Tensor, change: Tensor) -> Tensor:
    """Blended with the smoothed image; 0 changes nothing, -1 smooths. Pixels of the edge stay."""
    channels = images.shape[1]
    kernel = images.new_full((channels, 1, 3, 3), 1 / 13)
    kernel[:, :, 1, 1] = 5 / 13
    smooth = images.clone()
    smooth[:, :, 1:-1, 1:-1] = F.conv2d(images, kernel, groups=channels)
    return _blend(images, smooth, change)


def posterize(images: Tensor, dropped: Tensor) -> Tensor:
    """The lowest bits of each value, `dropped` of its 8, set to 0."""
    step = torch.exp2(dropped.round())[:, None, None, None]
    return (images.round() / step).floor() * step


def solarize(images: Tensor, depth: Tensor) -> Tensor:
    """Values of `depth` below white, and above, inverted; 0 changes white alone."""
    return torch.where(images >= _WHITE - depth[:, None, None, None], _WHITE - images, images)


def autocontrast(images: Tensor, unused: Tensor) -> Tensor:
    """Each channel stretched from black to white; a constant channel stays."""
    lowest, highest = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    width = highest - lowest
    stretched = ((images - lowest) * (_WHITE / width.clamp(min=1e-6))).clamp(max=_WHITE)
    return torch.where(width > 0, stretched, images)


def equalize(images: Tensor, unused: Tensor) -> Tensor:
    """Each channel's values spread so that all levels are about as frequent, by PIL's integer rule."""
    levels = images.round().long().flatten(2)  # [B, C, H W]
    counts = levels.new_zeros(*levels.shape[:2], _LEVELS).scatter_add_(2, levels, torch.ones_like(levels))
    last = counts.gather(2, levels.amax(dim=2, keepdim=True))  # how often the brightest occurs
    step = (counts.sum(dim=2, keepdim=True) - last) // _WHITE
    table = (counts.cumsum(dim=2) - counts + step // 2) // step.clamp(min=1)
    table = table.clamp(max=_WHITE)
    spread = table.gather(2, levels).view(images.shape).to(images.dtype)
    return torch.where(step[..., None] > 0, spread, images)


def grey(images: Tensor) -> Tensor:
    """[B, 1, H, W]: luma of colour images, the mean of the channels of others."""
    if images.shape[1] != len(_LUMA):
        return images.mean(dim=1, keepdim=True)
    return (images * images.new_tensor(_LUMA)[:, None, None]).sum(dim=1, keepdim=True)


def _blend(images: Tensor, other: Tensor, change: Tensor) -> Tensor:
    """The images moved away from `other` by a share `change` of their difference, or towards it."""
    return torch.addcmul(images, images - other, change[:, None, None, None]).clamp_(0, _WHITE)
