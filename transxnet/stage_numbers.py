"""The numbers that follow from a stage's settings, written once: for one stage, or for a million as numpy columns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeAlias

import numpy as np

Number: TypeAlias = Any
"""A whole number, or an int64 array with one a network: the arithmetic is the same."""

IDENTITY = "none"
"""The operator that leaves its place empty."""

POOLED_SIDE = 7
"""Most positions a side that pooled-token attention pools keys and values to (PVTv2, linear)."""


class StageNumbers(ABC):
    """What StageConfig and StageColumns have in common: fields of the same names, and all that follows from them."""

    depth: Number
    width: Number
    heads: Number
    osr_stride: Number
    osr_overlap: Number
    idconv_share: Number
    idconv_kernel: Number
    idconv_groups: Number
    idconv_reduction: Number
    ffn_ratio: Number
    ste_reduction: Number
    ste_floor: Number
    dpe_kernel: Number
    local_mixer: Any
    global_mixer: Any
    mixing: Any
    token_enhancer: Any
    ffn: Any
    dpe: Any
    position_table: Any
    layer_scale: Any

    @property
    @abstractmethod
    def ffn_scales(self) -> Number:
        """Number of MS-FFN kernels."""

    @property
    @abstractmethod
    def ffn_tap_sum(self) -> Number:
        """Taps of one kernel of each size of the MS-FFN, summed: 1 + 9 + 25 + 49 for the paper's."""

    @property
    @abstractmethod
    def ffn_first_taps(self) -> Number:
        """Taps of the MS-FFN's first kernel, whose share of the channels takes the remainder."""

    @property
    @abstractmethod
    def ffn_kernels_are_sound(self) -> Any:
        """Whether the MS-FFN's kernels are odd, and increase."""

    @property
    def has_local(self) -> Any:
        """Whether there is a local mixer."""
        return self.local_mixer != IDENTITY

    @property
    def has_global(self) -> Any:
        """Whether there is a global mixer."""
        return self.global_mixer != IDENTITY

    @property
    def has_table(self) -> Any:
        """Whether there is a position table: it belongs to the global mixer."""
        return self.position_table & self.has_global

    @property
    def is_split(self) -> Any:
        """Whether the channels are split between two mixers that work side by side."""
        return self.has_local & self.has_global & (self.mixing == "parallel")

    @property
    def split_width(self) -> Number:
        """Channels that a split gives to the local mixer."""
        return nearest(self.width * self.idconv_share)

    @property
    def local_width(self) -> Number:
        """Channels that the local mixer sees: its share, or all where it does not stand beside a global one."""
        return pick(self.is_split, self.split_width, self.width) * self.has_local

    @property
    def global_width(self) -> Number:
        """Channels that the global mixer sees: what the split leaves, or all."""
        return (self.width - self.split_width * self.is_split) * self.has_global

    @property
    def idconv_bottleneck(self) -> Number:
        """Channels of the bottleneck in which a dynamic local mixer looks at its input."""
        return self.local_width // self.idconv_reduction

    @property
    def osr_kernel(self) -> Number:
        """Kernel size of OSRA's spatial reduction, 0 at stride 1, where there is none."""
        return (self.osr_stride + self.osr_overlap) * (self.osr_stride > 1)

    @property
    def ffn_hidden(self) -> Number:
        """Hidden channels of the feed-forward network."""
        return whole(self.width * self.ffn_ratio)

    @property
    def ste_width(self) -> Number:
        """Channels of the STE bottleneck."""
        return larger(self.ste_floor, self.width // self.ste_reduction)


def are_sound_kernels(kernels: tuple[int, ...]) -> bool:
    """Whether kernel sizes are odd and increase."""
    return bool(kernels) and list(kernels) == sorted(set(kernels)) and all(kernel % 2 for kernel in kernels)


def whole(x: Any) -> Number:
    """`x` without what stands behind its point, as int() does."""
    return x.astype(np.int64) if isinstance(x, np.ndarray) else int(x)


def nearest(x: Any) -> Number:
    """The whole number nearest to `x`, of two the even one, as round() does."""
    return np.rint(x).astype(np.int64) if isinstance(x, np.ndarray) else round(x)


def larger(x: Number, y: Number) -> Number:
    """The larger of two numbers."""
    return np.maximum(x, y) if isinstance(x, np.ndarray) or isinstance(y, np.ndarray) else max(x, y)


def smaller(x: Number, y: Number) -> Number:
    """The smaller of two numbers."""
    return np.minimum(x, y) if isinstance(x, np.ndarray) or isinstance(y, np.ndarray) else min(x, y)


def pick(choose: Any, yes: Number, no: Number) -> Number:
    """`yes` where `choose` holds, `no` elsewhere."""
    return np.where(choose, yes, no) if isinstance(choose, np.ndarray) else (yes if choose else no)


def ceil_div(x: Number, y: Number) -> Number:
    """x / y, rounded up."""
    return -(-x // y)


def is_anywhere(holds: Any) -> bool:
    """Whether something holds, for one network or for any of many."""
    return bool(holds.any()) if isinstance(holds, np.ndarray) else bool(holds)
