"""What may mix tokens nearby: IDConv and its controls. All convolve with kernels of idconv_kernel pixels a side."""

from __future__ import annotations

from transxnet.cost_terms import Cost, batch_norm, conv, depthwise, made_depthwise, pool
from transxnet.operators.operator import IDENTITY, NOTHING, Operator, Setting
from transxnet.stage_numbers import StageNumbers

# Letters in comments: C channels of the mixer, r reduction, G groups, K kernel size.


def _idconv(stage: StageNumbers, at: Setting) -> Cost:
    # C^2/r (G + 1) in the two 1x1 convolutions, G C K^2 in the bank (paper, section III-B), biases and norm apart.
    width, bottleneck, groups = stage.local_width, stage.idconv_bottleneck, stage.idconv_groups
    area = stage.idconv_kernel**2
    taps = area + 1  # one projection gives the kernel's taps from the pooled map and the bias from its mean
    votes = conv(width, bottleneck, 1, taps, bias=False) + batch_norm(bottleneck, taps)
    votes += conv(bottleneck, groups * width, 1, taps)
    bank = Cost(params=groups * width * taps)
    # Pooled map and mean, bottleneck before norm, GELU and expansion, the votes, the mixed kernel.
    kept = Cost(kept=taps * (width * (groups + 1) + 3 * bottleneck) + width * area)
    return votes + made_depthwise(width, stage.idconv_kernel, at.n) + bank + pool(width, at.n) + kept


def _static(stage: StageNumbers, at: Setting) -> Cost:
    return depthwise(stage.local_width, stage.idconv_kernel, at.n)


def _dyconv(stage: StageNumbers, at: Setting) -> Cost:
    width, bottleneck, groups = stage.local_width, stage.idconv_bottleneck, stage.idconv_groups
    area = stage.idconv_kernel**2
    votes = pool(width, at.n) + conv(width, bottleneck, 1, 1) + conv(bottleneck, groups, 1, 1)
    # Here the bank is mixed by a matrix product, which is counted; IDConv's votes differ from tap to tap.
    made = width * (area + 1)
    bank = Cost(params=groups * made, matmul=groups * made, activations=made)
    kept = Cost(kept=width + bottleneck + groups + width * area)
    return votes + bank + made_depthwise(width, stage.idconv_kernel, at.n) + kept


def _d_dwconv(stage: StageNumbers, at: Setting) -> Cost:
    # C^2/r (K^2 + 1) in the two 1x1 convolutions, biases and norm apart.
    width, bottleneck, area = stage.local_width, stage.idconv_bottleneck, stage.idconv_kernel**2
    made = pool(width, at.n) + conv(width, bottleneck, 1, 1, bias=False) + batch_norm(bottleneck, 1)
    made += conv(bottleneck, width * area, 1, 1)
    kept = Cost(kept=width + 2 * bottleneck + width * area)
    return made + made_depthwise(width, stage.idconv_kernel, at.n) + kept


_DYNAMIC = ("idconv_kernel", "idconv_reduction")

LOCAL_MIXERS: dict[str, Operator] = {
    "idconv": Operator(
        "IDConv: each sample, channel and tap votes on a bank of depthwise kernels (TransXNet, section III-B)",
        cost=_idconv,
        felt=lambda s: {"idconv": [s.local_width, s.idconv_kernel, s.idconv_groups, s.idconv_bottleneck]},
        fields=(*_DYNAMIC, "idconv_groups"),
        builder="transxnet.idconv:IDConv.of",
        attribute="idconv",
    ),
    "dwconv": Operator(
        "one depthwise kernel for all samples: is it dynamic kernels, or any convolution?",
        cost=_static,
        felt=lambda s: {"dwconv": [s.local_width, s.idconv_kernel]},
        fields=("idconv_kernel",),
        builder="transxnet.local_mixers:static_depthwise",
        attribute="dwconv",
    ),
    "dyconv": Operator(
        "DyConv: each sample votes with one number a kernel on a bank of depthwise kernels (Chen et al., CVPR 2020)",
        cost=_dyconv,
        felt=lambda s: {"dyconv": [s.local_width, s.idconv_kernel, s.idconv_groups, s.idconv_bottleneck]},
        fields=(*_DYNAMIC, "idconv_groups"),
        builder="transxnet.local_mixers:DyConv.of",
        attribute="dyconv",
    ),
    "d_dwconv": Operator(
        "D-DWConv: each sample's kernels are made whole from its pooled feature (Han et al., ICLR 2022)",
        cost=_d_dwconv,
        felt=lambda s: {"d_dwconv": [s.local_width, s.idconv_kernel, s.idconv_bottleneck]},
        fields=_DYNAMIC,
        builder="transxnet.local_mixers:DynamicDepthwiseConv.of",
        attribute="d_dwconv",
    ),
    IDENTITY: NOTHING,
}
"""Local mixer by name."""

WITH_BOTTLENECK = ("idconv", "dyconv", "d_dwconv")
"""Those that look at their input through a bottleneck."""
