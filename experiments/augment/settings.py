"""How training images are varied, as a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Augmentation:
    """Only moving and mirroring are on by default. Raises ValueError for a value out of range."""

    crop_padding: int = 2
    """Training images are moved by up to so many pixels each way; what comes in is their mirrored edge."""
    flip: bool = True
    """Training images are mirrored half of the time, where that keeps the class."""
    rand_augment_magnitude: float = 0.0
    """How far RandAugment's operations go: 0 is off, 10 is their limit."""
    rand_augment_operations: int = 2
    """Operations on an image, each drawn anew."""
    erasing: float = 0.0
    """Share of the images of which a rectangle is replaced by noise."""
    mixup: float = 0.0
    """Blend pairs of images, the share drawn from Beta(mixup, mixup); 0 is off."""
    cutmix: float = 0.0
    """Paste a rectangle of one image into another, the area drawn from Beta(cutmix, cutmix); 0 is off. With mixup
    on as well, each batch draws one of the two."""
    mix_probability: float = 1.0
    """Share of the batches that are mixed, if mixup or cutmix is on."""

    def __post_init__(self) -> None:
        for name in ("crop_padding", "rand_augment_operations"):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            self._require(whole and value >= 0, name, "a whole number of at least 0")
        for name in ("mixup", "cutmix"):
            self._require(getattr(self, name) >= 0, name, "0 or above")
        for name in ("erasing", "mix_probability"):
            self._require(0 <= getattr(self, name) <= 1, name, "between 0 and 1")
        self._require(0 <= self.rand_augment_magnitude <= 10, "rand_augment_magnitude", "between 0 and 10")

    def require_fit(self, image_size: int) -> None:
        """Raises ValueError for a padding that images of so many pixels do not have."""
        if self.crop_padding >= image_size:
            raise ValueError(
                f"crop_padding must be below the image size, got {self.crop_padding} at {image_size} px; "
                f"make it smaller"
            )

    def _require(self, holds: bool, name: str, rule: str) -> None:
        """Raises ValueError with the rule unless it holds for a value; its default is the example."""
        if not holds:
            value, example = getattr(self, name), getattr(type(self), name)
            raise ValueError(f"recipe.{name} must be {rule}, got {value!r}; write for example recipe.{name}={example}")
