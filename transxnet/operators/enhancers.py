"""What may join the mixers' outputs: STE and its controls."""

from __future__ import annotations

from transxnet.cost_terms import Cost, batch_norm, conv, depthwise
from transxnet.operators.operator import IDENTITY, NOTHING, Operator, Setting
from transxnet.stage_numbers import StageNumbers


def _ste(stage: StageNumbers, at: Setting) -> Cost:
    width, bottleneck, n = stage.width, stage.ste_width, at.n
    total = depthwise(width, 3, n) + batch_norm(width, n)
    total += conv(width, bottleneck, 1, n) + batch_norm(bottleneck, n)
    kept = Cost(kept=(5 * width + 3 * bottleneck) * n)
    return total + conv(bottleneck, width, 1, n) + batch_norm(width, n) + kept


def _conv1x1(stage: StageNumbers, at: Setting) -> Cost:
    return conv(stage.width, stage.width, 1, at.n) + Cost(kept=stage.width * at.n)


ENHANCERS: dict[str, Operator] = {
    "ste": Operator(
        "STE: a depthwise 3x3 and a bottleneck of 1x1 convolutions beside a skip (TransXNet, section III-C)",
        cost=_ste,
        felt=lambda s: {"ste": s.ste_width},
        fields=("ste_reduction", "ste_floor"),
        builder="transxnet.ste:STE.of",
        attribute="ste",
    ),
    "conv1x1": Operator(
        "a 1x1 convolution between all channels, as attention commonly ends",
        cost=_conv1x1,
        felt=lambda s: {"conv1x1": s.width},
        builder="transxnet.ste:projection",
        attribute="projection",
    ),
    IDENTITY: NOTHING,
}
"""Token enhancer by name."""
