"""How a trial is cheaper than the real thing, and the network that it trains in place of the target."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from transxnet.arch import ArchConfig, StageConfig
from transxnet.bounds import MOST

MOST_EPOCHS = 100_000


@dataclass(frozen=True)
class Fidelity:
    """Shared by all trials of a study; results of different fidelities are never mixed. Raises ValueError."""

    image_size: int = 32
    """Pixels a side of the images trained on."""
    stem_stride: int = 2
    """Stride of the stem: on small images a smaller stride than the target's leaves more positions to mix."""
    width_scale: float = 0.167
    """Factor on the stages' widths; the nearest legal width is taken."""
    depth_scale: float = 0.2
    """Factor on the stages' depths, rounded, at least one block."""
    data_share: float = 0.2
    """Share of the training images, the same share of each class."""
    epochs: int = 5

    def __post_init__(self) -> None:
        for name in ("image_size", "stem_stride", "epochs"):
            self._require(getattr(self, name) >= 1, name, "at least 1")
        for name in ("image_size", "stem_stride"):
            self._require(getattr(self, name) <= MOST[name], name, f"at most {MOST[name]:,}")
        self._require(self.epochs <= MOST_EPOCHS, "epochs", f"at most {MOST_EPOCHS:,}")
        for name in ("width_scale", "depth_scale"):
            self._require(0 < getattr(self, name) <= 4, name, "above 0 and at most 4")
        self._require(0 < self.data_share <= 1, "data_share", "above 0 and at most 1")

    def _require(self, holds: bool, name: str, rule: str) -> None:
        if not holds:
            value, example = getattr(self, name), getattr(type(self), name)
            raise ValueError(f"proxy.{name} must be {rule}, got {value:g}; write for example proxy.{name}={example}")


def proxy_arch(
    target: ArchConfig, fidelity: Fidelity, channels: int, num_classes: int, widths: Sequence[int] | None = None
) -> ArchConfig:
    """`target` scaled, for images of the data's `channels` and classes; `widths` are the nearest legal if not given."""
    own = widths or [_nearest_width(stage, fidelity.width_scale) for stage in target.stages]
    stages = zip(target.stages, own, strict=True)
    return ArchConfig(
        stages=tuple(
            dataclasses.replace(stage, depth=max(1, round(stage.depth * fidelity.depth_scale)), width=width)
            for stage, width in stages
        ),
        image_size=(fidelity.image_size, fidelity.image_size),
        stem_stride=fidelity.stem_stride,
        in_channels=channels,
        num_classes=num_classes,
    )


def attends(arch: ArchConfig) -> bool:
    """Whether attention has more than one position to choose from in some stage of a network.

    With one, its softmax is 1 whatever the queries and the position table are: attention is switched off. A network
    without attention has none to switch off.
    """
    keys = [
        mixer.keys(stage, grid)
        for stage, grid in zip(arch.stages, arch.grids(), strict=True)
        if (mixer := stage.operator("global_mixer")).keys is not None
    ]
    return not keys or max(keys) > 1


def _nearest_width(stage: StageConfig, scale: float) -> int:
    """The width nearest to the scaled one with which the stage can be built, of two equally near ones the wider."""
    if scale == 1:
        return stage.width
    for width in _nearest_first(stage.width * scale, stage.width):
        try:
            return dataclasses.replace(stage, width=width).width
        except ValueError:
            continue
    raise AssertionError("a multiple of the stage's own width is legal and within reach")


def _nearest_first(wanted: float, reach: int) -> list[int]:
    """Widths up to `reach` beyond the wanted one, the nearest first, of two equally near ones the wider."""
    return sorted(range(1, math.ceil(wanted) + reach + 1), key=lambda width: (abs(width - wanted), -width))
