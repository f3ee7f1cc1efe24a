"""The published networks: TransXNet-T, -S and -B (paper, table of architecture variants)."""

from __future__ import annotations

from dataclasses import dataclass

from transxnet.arch import ArchConfig, StageConfig


@dataclass(frozen=True)
class Variant:
    """A published network with what its training used."""

    arch: ArchConfig
    drop_path_rate: float
    crop: float
    """Share of the image that the evaluation's centre crop keeps."""


def _published(
    depths: list[int], widths: list[int], heads: list[int], groups: list[int], ratios: list[int]
) -> ArchConfig:
    columns = zip(depths, widths, heads, groups, ratios, (8, 4, 2, 1), strict=True)
    return ArchConfig(
        stages=tuple(
            StageConfig(
                depth=depth,
                width=width,
                heads=head,
                idconv_groups=group,
                ffn_ratio=float(ratio),
                osr_stride=stride,
            )
            for depth, width, head, group, ratio, stride in columns
        )
    )


VARIANTS: dict[str, Variant] = {
    "transxnet_t": Variant(
        _published([3, 3, 9, 3], [48, 96, 224, 448], [1, 2, 4, 8], [2, 2, 2, 2], [4, 4, 4, 4]), 0.1, 0.9
    ),
    "transxnet_s": Variant(
        _published([4, 4, 12, 4], [64, 128, 320, 512], [1, 2, 5, 8], [2, 2, 3, 4], [6, 6, 4, 4]), 0.2, 0.9
    ),
    "transxnet_b": Variant(
        _published([4, 4, 21, 4], [76, 152, 336, 672], [2, 4, 8, 16], [2, 2, 4, 4], [8, 8, 4, 4]), 0.4, 0.95
    ),
}
