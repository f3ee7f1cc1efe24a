"""The description of a TransXNet: what can be chosen, what is legal, and when two descriptions are one network."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from transxnet.bounds import MOST_MAP_SIDE, read_image_size, read_number, read_wholes, require_whole
from transxnet.operators import PLACES, WORDS, Operator
from transxnet.stage_numbers import Number, StageNumbers, are_sound_kernels, ceil_div, is_anywhere
from transxnet.stage_rules import STAGE_RULES

NUM_STAGES = 4
STEM_KERNEL = 7


@dataclass(frozen=True)
class StageConfig(StageNumbers):
    """One stage: `depth` equal blocks at one resolution. Raises ValueError for a network that cannot be built.

    Settings of an operator that is not there, or does not use them, change nothing.
    """

    depth: int
    """Number of blocks."""
    width: int
    """Number of channels."""
    heads: int
    """Attention heads of the global mixer."""
    osr_stride: int
    """Stride of the spatial reduction of keys and values, OSRA's overlapping one or SRA's patches; 1 is none."""
    osr_overlap: int = 3
    """How far OSRA's windows overlap: kernel = stride + overlap; 0 does not overlap. Not felt at stride 1."""
    idconv_share: float = 0.5
    """Share of the channels that goes to the local mixer; the rest goes to the global one."""
    idconv_kernel: int = 7
    """Kernel size K of the local mixer, for IDConv also the size that its input is pooled to."""
    idconv_groups: int = 2
    """Attention groups G of IDConv: how many learned kernels are mixed for each sample and channel; also DyConv's."""
    idconv_reduction: int = 4
    """Channel reduction in the bottleneck through which a dynamic local mixer sees its input."""
    ffn_ratio: float = 4.0
    """Expansion ratio of the feed-forward network; hidden channels = int(width * ratio)."""
    ffn_kernels: tuple[int, ...] = (1, 3, 5, 7)
    """Depthwise kernel sizes of the MS-FFN, increasing; hidden channels are split over them."""
    ste_reduction: int = 8
    """Channel reduction in the STE bottleneck."""
    ste_floor: int = 16
    """Least channels of the STE bottleneck."""
    dpe_kernel: int = 7
    """Kernel size of the dynamic position encoding's depthwise convolution."""
    local_mixer: str = "idconv"
    """What mixes tokens nearby: idconv, dwconv, dyconv, d_dwconv or none (`transxnet.operators` has the tables)."""
    global_mixer: str = "osra"
    """What mixes tokens far apart: osra, sra, pooled, full or none."""
    mixing: str = "parallel"
    """parallel: each mixer has its share of the channels. series: the local, then the global one has them all."""
    token_enhancer: str = "ste"
    """What joins the mixers' outputs: ste, conv1x1 or none."""
    ffn: str = "msffn"
    """The feed-forward network: msffn, inverted_residual or plain."""
    dpe: bool = True
    """Whether a block begins with dynamic position encoding."""
    position_table: bool = True
    """Whether attention adds a learned number for each pair of positions and head."""
    layer_scale: bool = True
    """Whether a block's two branches are scaled and shifted for each channel before they are added."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "ffn_kernels", read_wholes("ffn_kernels", self.ffn_kernels))
        for name in _STAGE_COUNTS:
            require_whole(name, getattr(self, name), least=0 if name == "osr_overlap" else 1)
        for name in ("idconv_share", "ffn_ratio"):
            object.__setattr__(self, name, read_number(name, getattr(self, name)))
        for name, words in WORDS.items():
            _require_known(getattr(self, name), words, name)
        for name in _SWITCHES:
            _require_switch(name, getattr(self, name))
        for rule in STAGE_RULES.values():
            if not rule.holds(self):
                raise ValueError(rule.refusal(self))

    @property
    def ffn_split(self) -> tuple[int, ...]:
        """Hidden channels of each MS-FFN kernel; the first takes the remainder."""
        share, rest = divmod(self.ffn_hidden, len(self.ffn_kernels))
        return (share + rest, *[share] * (len(self.ffn_kernels) - 1))

    @property
    def ffn_scales(self) -> int:
        """Number of MS-FFN kernels."""
        return len(self.ffn_kernels)

    @property
    def ffn_tap_sum(self) -> int:
        """Taps of one kernel of each size of the MS-FFN, summed."""
        return sum(kernel**2 for kernel in self.ffn_kernels)

    @property
    def ffn_first_taps(self) -> int:
        """Taps of the MS-FFN's first kernel."""
        return self.ffn_kernels[0] ** 2

    @property
    def ffn_kernels_are_sound(self) -> bool:
        """Whether the MS-FFN's kernels are odd, and increase."""
        return are_sound_kernels(self.ffn_kernels)

    @property
    def has_all_parts(self) -> bool:
        """Whether a block is made of the paper's parts, whatever their sizes: the fastest kernels are for those."""
        names = (self.local_mixer, self.global_mixer, self.mixing, self.token_enhancer)
        scales = self.ffn in ("msffn", "inverted_residual")  # one module
        return names == ("idconv", "osra", "parallel", "ste") and scales and self.dpe and self.layer_scale

    def operator(self, place: str) -> Operator:
        """The entry of what stands at a place of the blocks, a key of PLACES."""
        return PLACES[place][getattr(self, place)]


@dataclass(frozen=True)
class ArchConfig:
    """A whole network: four stages and what stands around them. Raises ValueError if it cannot be built."""

    stages: tuple[StageConfig, ...]
    """The four stages, from the finest map to the coarsest."""
    image_size: tuple[int, int] = (224, 224)
    """Height and width, in pixels, of the image that the position tables are made for. One number is both."""
    stem_stride: int = 4
    """Stride of the stem's 7x7 convolution; the stages' maps are reduced by it times 1, 2, 4 and 8."""
    in_channels: int = 3
    """Channels of the image."""
    num_classes: int = 1000
    """Outputs of the head; 0 leaves the head's classifier out."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", tuple(self.stages))
        if len(self.stages) != NUM_STAGES:
            raise ValueError(f"a network has {NUM_STAGES} stages, got {len(self.stages)}; describe each of the four")
        for name in ("stem_stride", "in_channels"):
            require_whole(name, getattr(self, name))
        require_whole("num_classes", self.num_classes, least=0)
        object.__setattr__(self, "image_size", read_image_size_at(self.image_size, self.stem_stride))

    @property
    def id(self) -> str:
        """Sixteen hexadecimal digits that name the built network: equal exactly when `canonical` is equal.

        The shapes of the maps are part of it, since cost and latency depend on them: other image sizes give other ids
        even without position tables, where the modules are the same.
        """
        return hashlib.sha256(json.dumps(self.canonical(), sort_keys=True).encode()).hexdigest()[:16]

    def canonical(self) -> dict[str, Any]:
        """The numbers that the built network feels, and no others: widths instead of the ratios they came from."""
        grids = self.grids()
        return {
            "stem": [self.in_channels, STEM_KERNEL, self.stem_stride],
            "classes": self.num_classes,
            "stages": [_canonical_stage(stage, grid) for stage, grid in zip(self.stages, grids, strict=True)],
        }

    def grids(self, image_size: tuple[int, int] | None = None) -> tuple[tuple[int, int], ...]:
        """Height and width of each stage's map for an image of `image_size` (the tables' own by default)."""
        return stage_grids(*(image_size or self.image_size), self.stem_stride)

    def replace(self, **changes: Any) -> ArchConfig:
        """This network with other values of its own fields; raises ValueError as the constructor does."""
        return dataclasses.replace(self, **changes)

    def with_stages(self, **changes: Iterable[Any]) -> ArchConfig:
        """This network with other stages: each keyword is a field of StageConfig with its four values."""
        columns = {name: tuple(values) for name, values in changes.items()}
        for name, values in columns.items():
            _require_known(name, _field_names(StageConfig), "field of a stage")
            if len(values) != NUM_STAGES:
                raise ValueError(f"{name} needs a value for each of the {NUM_STAGES} stages, got {list(values)}")
        stages = [
            dataclasses.replace(stage, **{name: values[index] for name, values in columns.items()})
            for index, stage in enumerate(self.stages)
        ]
        return self.replace(stages=tuple(stages))

    def column(self, field: str) -> tuple[Any, ...]:
        """The four stages' values of a field."""
        return tuple(getattr(stage, field) for stage in self.stages)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON or YAML; `from_dict` is the inverse."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> ArchConfig:
        """The network that `to_dict` described; raises ValueError for an unknown or missing key."""
        _require_keys(plain, cls, "architecture")
        if not isinstance(plain["stages"], list | tuple):
            raise ValueError(f"stages must be a list of the four stages, got {plain['stages']!r}")
        stages = []
        for index, stage in enumerate(plain["stages"], start=1):
            _require_keys(stage, StageConfig, f"stage {index}")
            try:
                stages.append(StageConfig(**stage))
            except ValueError as error:
                raise ValueError(f"stage {index}: {error}") from error
        return cls(**{**plain, "stages": tuple(stages)})

    def to_json(self) -> str:
        """One line of JSON; `from_json` is the inverse."""
        return json.dumps(self.to_dict(), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ArchConfig:
        """The network that `to_json` described; raises ValueError for an unknown or missing key."""
        return cls.from_dict(json.loads(text))


def stage_grids(height: Number, width: Number, stem_stride: Number) -> tuple[tuple[Number, Number], ...]:
    """Height and width of the four stages' maps for an image of `height` x `width` pixels."""
    grids = [(ceil_div(height, stem_stride), ceil_div(width, stem_stride))]
    for _ in range(NUM_STAGES - 1):
        grids.append((ceil_div(grids[-1][0], 2), ceil_div(grids[-1][1], 2)))
    return tuple(grids)


def is_map_too_large(height: Number, width: Number, stem_stride: Number) -> Any:
    """Whether the first map, the largest, has more than MOST_MAP_SIDE positions a side."""
    limit = MOST_MAP_SIDE * stem_stride
    return (height > limit) | (width > limit)


def read_image_size_at(size: Any, stem_stride: Number) -> tuple[int, int]:
    """Height and width as of `read_image_size`; raises ValueError for a first map that is too large, too."""
    height, width = read_image_size(size)
    if is_anywhere(is_map_too_large(height, width, stem_stride)):
        raise ValueError(
            f"the first map must have at most {MOST_MAP_SIDE:,} positions a side, got image_size {height}x{width} at "
            f"stem_stride {np.min(stem_stride)}; choose a smaller image"
        )
    return height, width


def _canonical_stage(stage: StageConfig, grid: tuple[int, int]) -> dict[str, Any]:
    felt: dict[str, Any] = {"depth": stage.depth, "width": stage.width, "grid": list(grid)}
    for place in PLACES:
        felt |= stage.operator(place).felt(stage)
    if stage.has_global:
        felt["heads"] = stage.heads
    if stage.dpe:
        felt["dpe"] = stage.dpe_kernel
    # What follows is written down only where it departs from the paper, so that ids stay what they were.
    if stage.has_global and not stage.position_table:
        felt["position_table"] = False
    if not stage.layer_scale:
        felt["layer_scale"] = False
    if stage.has_local and stage.has_global and stage.mixing != "parallel":
        felt["mixing"] = stage.mixing
    return felt


_STAGE_COUNTS = (
    "depth", "width", "heads", "osr_stride", "osr_overlap", "idconv_kernel", "idconv_groups", "idconv_reduction",
    "ste_reduction", "ste_floor", "dpe_kernel",
)  # fmt: skip
_SWITCHES = ("dpe", "position_table", "layer_scale")


def _field_names(config: type) -> list[str]:
    return [field.name for field in dataclasses.fields(config)]


def _require_switch(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, got {value!r}")


def _require_known(name: str, known: Iterable[str], what: str) -> None:
    known = list(known)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        remedy = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        raise ValueError(f"unknown {what} {name!r}; {remedy}")


def _require_keys(plain: Mapping[str, Any], config: type, what: str) -> None:
    if not isinstance(plain, Mapping):
        raise ValueError(f"{what} must be a mapping of field to value, got {plain!r}")
    fields = dataclasses.fields(config)
    for key in plain:
        _require_known(key, [field.name for field in fields], f"key in {what}")
    missing = [f.name for f in fields if f.default is dataclasses.MISSING and f.name not in plain]
    if missing:
        raise ValueError(f"{what} lacks {', '.join(missing)}")
