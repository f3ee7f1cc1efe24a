"""A network as a sum of parts whose latency can be measured alone. No torch.

A block stands at a position: its map, its width and what several of its parts feel. There it differs from a
reference block in some parts, so that its latency is about the reference's plus, for each part, what exchanging that
one part in the reference changes.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from transxnet.arch import ArchConfig, StageConfig
from transxnet.operators import PARTS, PLACES
from transxnet.operators.operator import IDENTITY

Grid = tuple[int, int]


@dataclass(frozen=True)
class BlockPart:
    """A block, to be measured by the kernels that compute the blocks of its position."""

    stage: StageConfig
    """Of depth 1."""
    grid: Grid
    has_all_parts: bool
    """Whether those have all of the paper's parts; others have slower kernels. This one may have them nevertheless."""


@dataclass(frozen=True)
class EdgePart:
    """What stands around the blocks: the stem, a downsampling or the head. Equal names are equal modules."""

    name: str
    arch: ArchConfig = field(compare=False)
    """A network that has it."""
    module: str = field(compare=False)
    """Name of the module in the built network."""
    shape: tuple[int, int, int] = field(compare=False)
    """Channels, height and width that it is given."""


Part = BlockPart | EdgePart | ArchConfig
"""What can be measured: one of the above, or a network whole."""


@dataclass(frozen=True)
class Place:
    """A stage's blocks in a network: where they stand, what they consist of, how many there are."""

    position: str
    """What all blocks feel that can be compared with one reference, in words."""
    choices: Mapping[str, str]
    """Each part of PARTS -> its choice here, in words."""
    block: BlockPart
    depth: int

    def exchanged(self, part: str, reference: BlockPart) -> BlockPart:
        """The reference with this block's choice for one part."""
        own = {name: getattr(self.block.stage, name) for name in _own_fields(part)}
        return dataclasses.replace(reference, stage=dataclasses.replace(reference.stage, **own))


def places(arch: ArchConfig) -> list[Place]:
    """The four stages' blocks."""
    return [_place(stage, grid) for stage, grid in zip(arch.stages, arch.grids(), strict=True)]


def edges(arch: ArchConfig) -> Iterator[EdgePart]:
    """Stem, downsamplings and head."""
    widths, grids = arch.column("width"), arch.grids()
    image = (arch.in_channels, *arch.image_size)
    name = f"stem of stride {arch.stem_stride} to {widths[0]} channels on {_shape(image)}"
    yield EdgePart(name, arch, "stem", image)
    for index in range(1, len(widths)):
        shape = (widths[index - 1], *grids[index - 1])
        yield EdgePart(
            f"downsampling to {widths[index]} channels on {_shape(shape)}", arch, f"stages.{index}.downsample", shape
        )
    last = (widths[-1], *grids[-1])
    yield EdgePart(f"head of {arch.num_classes} classes on {_shape(last)}", arch, "head", last)


_SHARED = tuple(
    dict.fromkeys(name for names in PARTS.values() for name in names if sum(name in own for own in PARTS.values()) > 1)
)
"""Fields that several parts feel: exchanging one part of a reference must not exchange them."""


def _place(stage: StageConfig, grid: Grid) -> Place:
    # A mixer's name is its own, but whether it is there decides how many channels the other has.
    shared = {name: getattr(stage, name) for name in _SHARED if name not in PARTS}
    there = {name: getattr(stage, name) != IDENTITY for name in _SHARED if name in PARTS}
    position = _words({"width": stage.width, **shared, **there, "all parts": stage.has_all_parts})
    choices = {part: _words({name: getattr(stage, name) for name in _felt(part, stage)}) for part in PARTS}
    block = BlockPart(dataclasses.replace(stage, depth=1), grid, stage.has_all_parts)
    return Place(f"{grid[0]}x{grid[1]} map, {position}", choices, block, stage.depth)


def _own_fields(part: str) -> list[str]:
    return [name for name in PARTS[part] if name == part or name not in _SHARED]


def _felt(part: str, stage: StageConfig) -> list[str]:
    """Of a part's own fields those that the operator feels which stands there."""
    table = PLACES.get(part, {})
    settings = {name for operator in table.values() for name in operator.fields}
    felt = stage.operator(part).fields if table else ()
    return [name for name in _own_fields(part) if name not in settings or name in felt]


def _words(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {json.dumps(value)}" for name, value in values.items()).replace('"', "")


def _shape(shape: tuple[int, int, int]) -> str:
    return f"{shape[0]}x{shape[1]}x{shape[2]}"
