"""The description of a TransXNet: what can be chosen, what is legal, and when two descriptions are one network."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

NUM_STAGES = 4
STEM_KERNEL = 7


@dataclass(frozen=True)
class StageConfig:
    """One stage: `depth` equal blocks at one resolution. Raises ValueError for a network that cannot be built."""

    depth: int
    """Number of blocks."""
    width: int
    """Number of channels."""
    heads: int
    """Attention heads of OSRA."""
    osr_stride: int
    """Stride of OSRA's overlapping spatial reduction of keys and values; 1 is none."""
    osr_overlap: int = 3
    """How far reduction windows overlap: kernel = stride + overlap. 0 gives PVT's patches. Not felt at stride 1."""
    idconv_share: float = 0.5
    """Share of the channels that goes to IDConv; the rest goes to OSRA."""
    idconv_kernel: int = 7
    """Kernel size K of IDConv, also the size that its input is pooled to."""
    idconv_groups: int = 2
    """Attention groups G of IDConv: how many learned kernels are mixed for each sample and channel."""
    idconv_reduction: int = 4
    """Channel reduction in the bottleneck that makes IDConv's attention."""
    ffn_ratio: float = 4.0
    """Expansion ratio of the MS-FFN; hidden channels = int(width * ratio)."""
    ffn_kernels: tuple[int, ...] = (1, 3, 5, 7)
    """Depthwise kernel sizes of the MS-FFN, increasing; hidden channels are split over them."""
    ste_reduction: int = 8
    """Channel reduction in the STE bottleneck."""
    ste_floor: int = 16
    """Least channels of the STE bottleneck."""
    dpe_kernel: int = 7
    """Kernel size of the dynamic position encoding's depthwise convolution."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "ffn_kernels", _as_int_tuple("ffn_kernels", self.ffn_kernels))
        for name in _STAGE_COUNTS:
            _require_count(name, getattr(self, name), least=0 if name == "osr_overlap" else 1)
        for name in ("idconv_share", "ffn_ratio"):
            object.__setattr__(self, name, _require_number(name, getattr(self, name)))
        self._check_mixer()
        self._check_ffn()

    @property
    def local_width(self) -> int:
        """Channels that go to IDConv."""
        return round(self.width * self.idconv_share)

    @property
    def global_width(self) -> int:
        """Channels that go to OSRA."""
        return self.width - self.local_width

    @property
    def idconv_bottleneck(self) -> int:
        """Channels of the bottleneck that makes IDConv's attention."""
        return self.local_width // self.idconv_reduction

    @property
    def osr_kernel(self) -> int:
        """Kernel size of the spatial reduction, 0 at stride 1, where there is none."""
        return self.osr_stride + self.osr_overlap if self.osr_stride > 1 else 0

    @property
    def ffn_hidden(self) -> int:
        """Hidden channels of the MS-FFN."""
        return int(self.width * self.ffn_ratio)

    @property
    def ffn_split(self) -> tuple[int, ...]:
        """Hidden channels of each MS-FFN kernel; the first takes the remainder."""
        share, rest = divmod(self.ffn_hidden, len(self.ffn_kernels))
        return (share + rest, *[share] * (len(self.ffn_kernels) - 1))

    @property
    def ste_width(self) -> int:
        """Channels of the STE bottleneck."""
        return max(self.ste_floor, self.width // self.ste_reduction)

    def _check_mixer(self) -> None:
        local = self.width * self.idconv_share
        if abs(local - round(local)) > 1e-9 or not 0 < round(local) < self.width:
            raise ValueError(
                f"width * idconv_share must be a whole number between 1 and width - 1, got "
                f"{self.width} * {self.idconv_share} = {local:g}; choose a width that the share divides, "
                f"for a share of 0.5 an even one"
            )
        if self.global_width % self.heads:
            raise ValueError(
                f"the channels of OSRA must be divisible by its heads, got {self.global_width} channels (width "
                f"{self.width}, idconv_share {self.idconv_share}) and {self.heads} heads; choose a width that is a "
                f"multiple of {2 * self.heads}, or fewer heads"
            )
        if self.idconv_bottleneck < 1:
            raise ValueError(
                f"IDConv's bottleneck needs at least 1 channel, got {self.local_width} // {self.idconv_reduction} = 0; "
                f"choose an idconv_reduction of at most {self.local_width}"
            )
        _require_odd("idconv_kernel", self.idconv_kernel)
        _require_odd("dpe_kernel", self.dpe_kernel)
        if self.osr_stride > 1 and self.osr_stride % 2:
            raise ValueError(
                f"osr_stride must be 1 or even (an odd stride disagrees with the position table), got "
                f"{self.osr_stride}; choose {self.osr_stride - 1} or {self.osr_stride + 1}"
            )
        if self.osr_overlap and self.osr_overlap % 2 == 0:
            raise ValueError(
                f"osr_overlap must be odd (so that the kernel has a centre) or 0 (no overlap), got "
                f"{self.osr_overlap}; choose {self.osr_overlap - 1} or {self.osr_overlap + 1}"
            )

    def _check_ffn(self) -> None:
        if not self.ffn_kernels or list(self.ffn_kernels) != sorted(set(self.ffn_kernels)):
            raise ValueError(
                f"ffn_kernels must be one or more different sizes in increasing order, got "
                f"{list(self.ffn_kernels)}; write for example [1, 3, 5, 7]"
            )
        for kernel in self.ffn_kernels:
            _require_odd("each of ffn_kernels", kernel)
        if self.ffn_hidden < len(self.ffn_kernels):
            raise ValueError(
                f"the MS-FFN needs a hidden channel for each kernel, got int({self.width} * {self.ffn_ratio:g}) = "
                f"{self.ffn_hidden} for {len(self.ffn_kernels)} kernels; raise ffn_ratio or drop kernels"
            )


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
        if isinstance(self.image_size, int):
            object.__setattr__(self, "image_size", (self.image_size, self.image_size))
        object.__setattr__(self, "image_size", _as_int_tuple("image_size", self.image_size))
        object.__setattr__(self, "stages", tuple(self.stages))
        if len(self.stages) != NUM_STAGES:
            raise ValueError(f"a network has {NUM_STAGES} stages, got {len(self.stages)}; describe each of the four")
        if len(self.image_size) != 2:
            raise ValueError(f"image_size is one number or height and width, got {list(self.image_size)}")
        for size in self.image_size:
            _require_count("image_size", size)
        for name in ("stem_stride", "in_channels"):
            _require_count(name, getattr(self, name))
        _require_count("num_classes", self.num_classes, least=0)

    @property
    def id(self) -> str:
        """Sixteen hexadecimal digits that name the built network: equal exactly when `canonical` is equal."""
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
        height, width = image_size or self.image_size
        grid = (-(-height // self.stem_stride), -(-width // self.stem_stride))
        grids = [grid]
        for _ in range(NUM_STAGES - 1):
            grid = (-(-grid[0] // 2), -(-grid[1] // 2))
            grids.append(grid)
        return tuple(grids)

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


def _canonical_stage(stage: StageConfig, grid: tuple[int, int]) -> dict[str, Any]:
    return {
        "depth": stage.depth,
        "width": stage.width,
        "grid": list(grid),
        "heads": stage.heads,
        "osr": [stage.osr_stride, stage.osr_kernel],
        "idconv": [stage.local_width, stage.idconv_kernel, stage.idconv_groups, stage.idconv_bottleneck],
        "ffn": [stage.ffn_hidden, list(stage.ffn_kernels)],
        "ste": stage.ste_width,
        "dpe": stage.dpe_kernel,
    }


_STAGE_COUNTS = (
    "depth", "width", "heads", "osr_stride", "osr_overlap", "idconv_kernel", "idconv_groups", "idconv_reduction",
    "ste_reduction", "ste_floor", "dpe_kernel",
)  # fmt: skip


def _field_names(config: type) -> list[str]:
    return [field.name for field in dataclasses.fields(config)]


def _as_int_tuple(name: str, values: Any) -> tuple[int, ...]:
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise ValueError(f"{name} must be a list of whole numbers, got {values!r}")
    whole: tuple[int, ...] = tuple(values)
    for value in whole:
        _require_count(name, value)
    return whole


def _require_count(name: str, value: Any, least: int = 1) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")


def _require_number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ValueError(f"{name} must be a number above 0, got {value!r}")
    return float(value)


def _require_odd(name: str, kernel: int) -> None:
    if kernel % 2 == 0:
        raise ValueError(f"{name} must be odd, got {kernel}; choose {kernel - 1} or {kernel + 1}")


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
