"""STE, the squeezed token enhancer: lets the two halves of a D-Mixer speak to each other (paper, section III-C)."""

from __future__ import annotations

from torch import Tensor, nn

from transxnet.arch import StageConfig
from transxnet.conv import depthwise


class STE(nn.Module):
    """`y + P(y)` on [B, C, H, W]; P is a depthwise 3x3 and a bottleneck of 1x1 convolutions."""

    def __init__(self, channels: int, bottleneck: int) -> None:
        super().__init__()
        self.enhance = nn.Sequential(
            depthwise(channels, 3),
            nn.GELU(),
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, bottleneck, 1),
            nn.GELU(),
            nn.BatchNorm2d(bottleneck),
            nn.Conv2d(bottleneck, channels, 1),
            nn.BatchNorm2d(channels),
        )

    @classmethod
    def of(cls, stage: StageConfig) -> STE:
        """That of a stage's blocks."""
        return cls(stage.width, stage.ste_width)

    def forward(self, x: Tensor) -> Tensor:
        """Enhance the tokens."""
        enhanced: Tensor = x + self.enhance(x)
        return enhanced


def projection(stage: StageConfig) -> nn.Conv2d:
    """STE's control, a 1x1 convolution between all channels, without a skip: as attention commonly ends."""
    return nn.Conv2d(stage.width, stage.width, 1)
