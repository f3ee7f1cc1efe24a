"""What may follow the mixers: MS-FFN and its controls."""

from __future__ import annotations

from typing import Any

from transxnet.cost_terms import Cost, batch_norm, conv
from transxnet.operators.operator import Operator, Setting
from transxnet.stage_numbers import Number, StageNumbers

INVERTED_RESIDUAL_KERNELS = (3,)
"""The MS-FFN that is an inverted residual FFN."""


def _plain(stage: StageNumbers, at: Setting) -> Cost:
    width, hidden, n = stage.width, stage.ffn_hidden, at.n
    total = conv(width, hidden, 1, n, bias=False) + batch_norm(hidden, n)
    kept = Cost(kept=(2 * width + 3 * hidden) * n)
    return total + conv(hidden, width, 1, n, bias=False) + batch_norm(width, n) + kept


def _with_scales(stage: StageNumbers, at: Setting, taps: Number) -> Cost:
    """`taps` of the depthwise kernels in all, over the hidden channels."""
    hidden, n = stage.ffn_hidden, at.n
    outputs = hidden * n
    convolved = Cost(
        params=taps + hidden, conv=taps * n, macs_published=taps * n + outputs, activations=outputs, kept=3 * outputs
    )
    return _plain(stage, at) + convolved + batch_norm(hidden, n)


def _msffn(stage: StageNumbers, at: Setting) -> Cost:
    share, rest = stage.ffn_hidden // stage.ffn_scales, stage.ffn_hidden % stage.ffn_scales
    return _with_scales(stage, at, share * stage.ffn_tap_sum + rest * stage.ffn_first_taps)


def _inverted_residual(stage: StageNumbers, at: Setting) -> Cost:
    taps = sum(kernel**2 for kernel in INVERTED_RESIDUAL_KERNELS)
    return _with_scales(stage, at, stage.ffn_hidden * taps)


def _felt(stage: Any, kernels: tuple[int, ...]) -> dict[str, Any]:
    return {"ffn": [stage.ffn_hidden, list(kernels)]}


FFNS: dict[str, Operator] = {
    "msffn": Operator(
        "MS-FFN: the hidden channels are split over depthwise convolutions of several sizes (TransXNet, section III-D)",
        cost=_msffn,
        felt=lambda s: _felt(s, s.ffn_kernels),
        fields=("ffn_ratio", "ffn_kernels"),
        builder="transxnet.ms_ffn:MSFFN.of",
        attribute="ffn",
    ),
    "inverted_residual": Operator(
        "inverted residual FFN with one depthwise 3x3 (CMT, Guo et al., CVPR 2022): MS-FFN with the kernel 3 alone",
        cost=_inverted_residual,
        felt=lambda s: _felt(s, INVERTED_RESIDUAL_KERNELS),
        fields=("ffn_ratio",),
        builder="transxnet.ms_ffn:inverted_residual",
        attribute="ffn",
    ),
    "plain": Operator(
        "plain FFN: two 1x1 convolutions, no tokens mixed",
        cost=_plain,
        felt=lambda s: {"plain_ffn": s.ffn_hidden},
        fields=("ffn_ratio",),
        builder="transxnet.ms_ffn:PlainFFN.of",
        attribute="ffn",
    ),
}
"""Feed-forward network by name."""
