"""IDConv: a depthwise convolution whose kernel is mixed for each sample from a learned bank (paper, section III-B)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transxnet.arch import StageConfig
from transxnet.conv import ConvNorm, depthwise_by_sample

# Shapes: B batch, C channels, H x W map, K kernel size, G attention groups.


class IDConv(nn.Module):
    """Input-dependent depthwise convolution, [B, C, H, W] to the same shape.

    The input, pooled to K x K, votes for each channel and tap on G learned kernels; its mean votes likewise on G
    learned biases, through the same projection. Its batch norm needs more than one sample in training.
    """

    def __init__(self, channels: int, kernel_size: int, groups: int, bottleneck: int) -> None:
        super().__init__()
        self.channels, self.kernel_size, self.groups = channels, kernel_size, groups
        self.pool = nn.AdaptiveAvgPool2d(kernel_size)
        self.squeeze = ConvNorm(channels, bottleneck, 1)
        self.expand = nn.Conv2d(bottleneck, groups * channels, 1)
        self.kernels = nn.Parameter(torch.empty(groups, channels, kernel_size, kernel_size))
        self.biases = nn.Parameter(torch.empty(groups, channels))
        nn.init.trunc_normal_(self.kernels, std=0.02)
        nn.init.trunc_normal_(self.biases, std=0.02)

    @classmethod
    def of(cls, stage: StageConfig) -> IDConv:
        """That of a stage's blocks."""
        return cls(stage.local_width, stage.idconv_kernel, stage.idconv_groups, stage.idconv_bottleneck)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve each sample with its own kernel."""
        # The order matters in training: the projection's batch norm sees the pooled map first, then the mean.
        votes = self._vote(self.pool(x))  # [B, G, C, K, K]
        kernel = (votes * self.kernels).sum(dim=1)  # [B, C, K, K]
        votes = self._vote(x.mean(dim=(2, 3), keepdim=True))[..., 0, 0]  # [B, G, C]
        bias = (votes * self.biases).sum(dim=1)  # [B, C]
        return depthwise_by_sample(x, kernel, bias)

    def _vote(self, pooled: Tensor) -> Tensor:
        logits: Tensor = self.expand(F.gelu(self.squeeze(pooled)))  # [B, G*C, k, k]
        size = pooled.shape[-2:]
        return logits.reshape(-1, self.groups, self.channels, *size).softmax(dim=1)
