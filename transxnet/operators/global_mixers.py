"""What may mix tokens far apart: OSRA and its controls, attentions that differ in where keys and values come from."""

from __future__ import annotations

from typing import Any

from transxnet.cost_terms import Cost, batch_norm, conv, depthwise, layer_norm, pool
from transxnet.operators.operator import IDENTITY, NOTHING, Operator, Setting
from transxnet.stage_numbers import POOLED_SIDE, Number, StageNumbers, ceil_div, smaller

# Letters: n = queries, m = keys.


def _attention(stage: StageNumbers, at: Setting) -> Cost:
    """Queries of every position, keys and values of the reduced ones, the two products."""
    width, n, m = stage.global_width, at.n, at.m
    total = conv(width, width, 1, n) + conv(width, 2 * width, 1, m)
    # Queries, keys and values, and the probabilities.
    kept = width * (n + 2 * m) + stage.heads * n * m
    return total + Cost(matmul=2 * n * m * width, activations=stage.heads * n * m + n * width, kept=kept)


def _osra(stage: StageNumbers, at: Setting) -> Cost:
    width, m = stage.global_width, at.m
    reduced = depthwise(width, stage.osr_kernel, m, bias=False) + depthwise(width, 1, m, bias=False)
    # What the two norms, GELU and the second convolution are given, and the local convolution: without a reduction
    # that is the mixer's own input.
    reduced += batch_norm(width, m) * 2 + Cost(kept=5 * width * m)
    refined = depthwise(width, 3, m) + Cost(kept=width * m)
    return _where_reduced(stage, reduced) + refined + _attention(stage, at)


def _sra(stage: StageNumbers, at: Setting) -> Cost:
    width, m = stage.global_width, at.m
    patches = conv(width, width, stage.osr_stride, m) + layer_norm(width, m) + Cost(kept=2 * width * m)
    return _where_reduced(stage, patches) + _attention(stage, at)


def _pooled(stage: StageNumbers, at: Setting) -> Cost:
    width, m = stage.global_width, at.m
    tokens = pool(width, at.n) + conv(width, width, 1, m) + layer_norm(width, m) + Cost(kept=4 * width * m)
    return tokens + _attention(stage, at)


def _where_reduced(stage: StageNumbers, reduction: Cost) -> Cost:
    reduced: Cost = reduction * (stage.osr_stride > 1)
    return reduced


def _strided(stage: StageNumbers, grid: tuple[Number, Number]) -> Number:
    return ceil_div(grid[0], stage.osr_stride) * ceil_div(grid[1], stage.osr_stride)


def _felt_patches(stage: Any) -> dict[str, Any]:
    # PVT's reduction at stride 1 is none: full attention.
    return {"sra": stage.osr_stride} if stage.osr_stride > 1 else {"attention": "full"}


GLOBAL_MIXERS: dict[str, Operator] = {
    "osra": Operator(
        "OSRA: keys and values from overlapping windows, refined by a depthwise convolution (TransXNet, section III-A)",
        cost=_osra,
        felt=lambda s: {"osr": [s.osr_stride, s.osr_kernel]},
        fields=("heads", "osr_stride", "osr_overlap"),
        builder="transxnet.osra:OSRA.of",
        attribute="osra",
        keys=_strided,
    ),
    "sra": Operator(
        "SRA: keys and values from patches of osr_stride pixels that do not overlap (PVT, Wang et al., ICCV 2021)",
        cost=_sra,
        felt=_felt_patches,
        fields=("heads", "osr_stride"),
        builder="transxnet.attention:patch_attention",
        attribute="attention",
        keys=_strided,
    ),
    "pooled": Operator(
        f"keys and values from at most {POOLED_SIDE}x{POOLED_SIDE} averages of the map (PVTv2, Wang et al., 2022)",
        cost=_pooled,
        felt=lambda s: {"attention": "pooled"},
        fields=("heads",),
        builder="transxnet.attention:pooled_attention",
        attribute="attention",
        keys=lambda stage, grid: smaller(grid[0], POOLED_SIDE) * smaller(grid[1], POOLED_SIDE),
    ),
    "full": Operator(
        "full attention: every position is a key; its position table grows with the square of the map",
        cost=_attention,
        felt=lambda s: {"attention": "full"},
        fields=("heads",),
        builder="transxnet.attention:full_attention",
        attribute="attention",
        keys=lambda stage, grid: grid[0] * grid[1],
    ),
    IDENTITY: NOTHING,
}
"""Global mixer by name."""
