"""The cost of networks by closed form, from their descriptions alone: of one, or of many as numpy columns."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from transxnet.arch import NUM_STAGES, STEM_KERNEL, ArchConfig, StageConfig, read_image_size_at
from transxnet.bounds import ImageSize
from transxnet.columns import ArchColumns
from transxnet.cost_terms import Cost, batch_norm, conv, depthwise, group_norm, pool
from transxnet.operators import GLOBAL_MIXERS, PLACES, Setting
from transxnet.stage_numbers import Number, StageNumbers, is_anywhere

Grid = tuple[Number, Number]

COMPONENTS = (
    "stem", "downsampling", "dpe", "norm", "local_mixer", "global_mixer", "token_enhancer", "ffn", "layer_scale",
    "position_table", "head",
)  # fmt: skip
"""The parts that a cost is split into; `norm` are the two group norms of each block."""


def estimate(arch: ArchConfig | ArchColumns, image_size: ImageSize | None = None) -> Cost:
    """Cost for one image of `image_size` (by default the size of the position tables, which stay).

    Raises ValueError for an image size that is none, or gives too large a map.
    """
    return total(estimate_components(arch, image_size).values())


def estimate_components(arch: ArchConfig | ArchColumns, image_size: ImageSize | None = None) -> dict[str, Cost]:
    """Cost of each of COMPONENTS for one image; they add up to `estimate`."""
    size = arch.image_size if image_size is None else read_image_size_at(image_size, arch.stem_stride)
    grids, tables = arch.grids(size), arch.grids()
    parts = dict.fromkeys(COMPONENTS, Cost())
    height, width = size
    parts["stem"] = stem_cost(arch.in_channels, arch.stages[0].width, grids[0])
    parts["stem"] += Cost(kept=arch.in_channels * height * width)
    for index, stage in enumerate(arch.stages):
        if index:
            parts["downsampling"] += downsampling_cost(arch.stages[index - 1].width, stage.width, grids[index])
        of_stage = _cached_stage if isinstance(stage, StageConfig) else stage_costs
        for part, cost in of_stage(stage, grids[index], tables[index]).items():
            parts[part] += cost
    parts["head"] = head_cost(arch.stages[NUM_STAGES - 1].width, arch.num_classes, grids[-1])
    return parts


def total(costs: object) -> Cost:
    """The sum of costs."""
    return sum(costs, Cost())  # type: ignore[call-overload, no-any-return]


def stem_cost(in_channels: Number, width: Number, grid: Grid) -> Cost:
    """The stem, for a first map of `grid`."""
    n = _positions(grid)
    return conv(in_channels, width, STEM_KERNEL, n, bias=False) + batch_norm(width, n) + Cost(kept=width * n)


def downsampling_cost(width_in: Number, width: Number, grid: Grid) -> Cost:
    """The downsampling to a map of `grid`."""
    n = _positions(grid)
    return conv(width_in, width, 3, n, bias=False) + batch_norm(width, n) + Cost(kept=(4 * width_in + width) * n)


def stage_costs(stage: StageNumbers, grid: Grid, table_grid: Grid) -> dict[str, Cost]:
    """Cost of the parts of a stage's blocks on a map of `grid`, its table made for `table_grid`; by COMPONENTS."""
    parts = {part: cost(stage, grid) * stage.depth for part, cost in BLOCK_PARTS.items()}
    return parts | {"position_table": table_cost(stage, table_grid)}


_cached_stage = lru_cache(maxsize=2048)(stage_costs)  # some 8 KiB each


def table_cost(stage: StageNumbers, grid: Grid) -> Cost:
    """A stage's position table, made for a map of `grid`."""
    pairs = _positions(grid) * _keys(stage, grid)
    return Cost(params=stage.heads * pairs * stage.has_table)


def head_cost(width: Number, num_classes: Number, grid: Grid) -> Cost:
    """The head, on a last map of `grid`."""
    n = _positions(grid)
    return group_norm(width, n) + pool(width, n) + conv(width, num_classes, 1, 1) + Cost(kept=2 * width * n + width)


def _dpe(stage: StageNumbers, grid: Grid) -> Cost:
    n = _positions(grid)
    encoding: Cost = depthwise(stage.width, stage.dpe_kernel, n) + Cost(kept=stage.width * n)
    where: Cost = encoding * stage.dpe
    return where


def _norm(stage: StageNumbers, grid: Grid) -> Cost:
    # What the norms are given and, behind it, what mixers and feed-forward network are given.
    n = _positions(grid)
    return (group_norm(stage.width, n) + Cost(kept=stage.width * n)) * 2 + Cost(kept=stage.width * n)


def _layer_scale(stage: StageNumbers, grid: Grid) -> Cost:
    # The official graph runs layer scale as a depthwise 1x1 convolution of bare tensors: fvcore sees it, the
    # published counter, which hooks modules, does not.
    outputs = stage.width * _positions(grid)
    one = Cost(params=2 * stage.width, conv=outputs, activations=outputs, kept=outputs)
    both: Cost = one * (2 * stage.layer_scale)
    return both


def _place(place: str) -> Callable[[StageNumbers, Grid], Cost]:
    """Cost of what stands at a place of the block, where each of many networks may have another operator."""

    def cost(stage: StageNumbers, grid: Grid) -> Cost:
        at, names = Setting(_positions(grid), _keys(stage, grid)), getattr(stage, place)
        return total(
            operator.cost(stage, at) * (names == name)
            for name, operator in PLACES[place].items()
            if is_anywhere(names == name)
        )

    return cost


def _keys(stage: StageNumbers, grid: Grid) -> Number:
    """Key positions of a stage's attention on a map of `grid`, 0 without one."""
    names = stage.global_mixer
    return sum(
        operator.keys(stage, grid) * (names == name)
        for name, operator in GLOBAL_MIXERS.items()
        if operator.keys is not None and is_anywhere(names == name)
    )


def _positions(grid: Grid) -> Number:
    return grid[0] * grid[1]


BLOCK_PARTS: dict[str, Callable[[StageNumbers, Grid], Cost]] = {
    "dpe": _dpe,
    "norm": _norm,
    **{place: _place(place) for place in PLACES},
    "layer_scale": _layer_scale,
}
"""Cost of each part of a block on a map."""
