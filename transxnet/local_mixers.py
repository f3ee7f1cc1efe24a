"""IDConv's controls: a static depthwise convolution, and two others whose kernels depend on the input."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transxnet.arch import StageConfig
from transxnet.conv import ConvNorm, depthwise, depthwise_by_sample

# Shapes: B batch, C channels, H x W map, K kernel size, G groups.


def static_depthwise(stage: StageConfig) -> nn.Conv2d:
    """One depthwise kernel for all samples."""
    return depthwise(stage.local_width, stage.idconv_kernel)


class DyConv(nn.Module):
    """Depthwise convolution whose kernel each sample mixes from a bank by G numbers, [B, C, H, W] to the same shape.

    Chen et al., Dynamic Convolution: Attention over Convolution Kernels, CVPR 2020. Their softmax has a temperature
    that falls from 30 to 1 in the first epochs; here it is 1 from the start.
    """

    def __init__(self, channels: int, kernel_size: int, groups: int, bottleneck: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.squeeze = nn.Conv2d(channels, bottleneck, 1)
        self.vote = nn.Conv2d(bottleneck, groups, 1)
        self.kernels = nn.Parameter(torch.empty(groups, channels, kernel_size, kernel_size))
        self.biases = nn.Parameter(torch.empty(groups, channels))
        nn.init.trunc_normal_(self.kernels, std=0.02)
        nn.init.trunc_normal_(self.biases, std=0.02)

    @classmethod
    def of(cls, stage: StageConfig) -> DyConv:
        """That of a stage's blocks."""
        return cls(stage.local_width, stage.idconv_kernel, stage.idconv_groups, stage.idconv_bottleneck)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve each sample with its own kernel."""
        kernels, biases = self.mix(self.vote(F.relu(self.squeeze(self.pool(x)))))
        return depthwise_by_sample(x, kernels, biases)

    def mix(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Kernels [B, C, K, K] and biases [B, C] from the votes' logits, B rows of G."""
        votes = logits.flatten(1).softmax(dim=1)  # [B, G]
        groups, channels, size, _ = self.kernels.shape
        kernels = votes @ self.kernels.reshape(groups, -1)  # no view: a bank may lie channels_last
        return kernels.view(-1, channels, size, size), votes @ self.biases


class DynamicDepthwiseConv(nn.Module):
    """D-DWConv: kernels made whole from the sample's pooled feature, [B, C, H, W] to the same shape.

    Han et al., On the Connection between Local Attention and Dynamic Depth-wise Convolution, ICLR 2022. Its batch
    norm needs more than one sample in training.
    """

    def __init__(self, channels: int, kernel_size: int, bottleneck: int) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.squeeze = ConvNorm(channels, bottleneck, 1)
        self.expand = nn.Conv2d(bottleneck, channels * kernel_size**2, 1)

    @classmethod
    def of(cls, stage: StageConfig) -> DynamicDepthwiseConv:
        """That of a stage's blocks."""
        return cls(stage.local_width, stage.idconv_kernel, stage.idconv_bottleneck)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve each sample with its own kernel."""
        made: Tensor = self.expand(F.relu(self.squeeze(self.pool(x))))  # [B, C*K*K, 1, 1]
        return depthwise_by_sample(x, self.as_kernels(made), None)

    def as_kernels(self, made: Tensor) -> Tensor:
        """Kernels [B, C, K, K] from what was made, B rows of C*K*K."""
        return made.reshape(len(made), -1, self.kernel_size, self.kernel_size)
