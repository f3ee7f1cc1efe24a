"""About how much memory a training step takes, from the description alone."""

from __future__ import annotations

from dataclasses import dataclass

from transxnet.arch import ArchConfig
from transxnet.bounds import ImageSize
from transxnet.columns import ArchColumns
from transxnet.cost.closed_form import estimate
from transxnet.cost.measured_latency import check_count
from transxnet.stage_numbers import Number

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of an element that is kept for the backward pass. Below 4 it is autocast: parameters stay float32."""


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes that a training step of the plain graph holds at its peak, by what they are for; AdamW's state included.

    What single kernels borrow for themselves, and what an allocator leaves unused, is not in it.
    """

    parameters: Number
    gradients: Number
    optimizer: Number
    """AdamW's two moments."""
    activations: Number
    """Kept for the backward pass, with the parameters' copies of autocast."""

    @property
    def total(self) -> Number:
        """All together, in bytes."""
        return self.parameters + self.gradients + self.optimizer + self.activations

    @property
    def total_gib(self) -> Number:
        """All together, in GiB."""
        return self.total / 2**30


def training_memory(
    arch: ArchConfig | ArchColumns,
    batch: int,
    precision: str = "float32",
    image_size: ImageSize | None = None,
) -> TrainingMemory:
    """What training `arch` with `batch` images of `image_size` (its own by default) holds.

    `precision` is float32, or bfloat16 or float16 for autocast. Raises ValueError for another, and for a batch or an
    image size that is none.
    """
    if precision not in BYTES:
        raise ValueError(f"precision must be one of {', '.join(BYTES)}, got {precision!r}")
    check_count("batch", batch)
    cost = estimate(arch, image_size)
    copies = cost.params * BYTES[precision] if BYTES[precision] < BYTES["float32"] else 0
    return TrainingMemory(
        parameters=4 * cost.params,
        gradients=4 * cost.params,
        optimizer=8 * cost.params,
        activations=batch * cost.kept * BYTES[precision] + copies,
    )
