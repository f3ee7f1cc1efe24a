"""What is computed in the CPU benchmark: small networks, the proxies, T, S and B."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.on_cpu.optimisers import Optimiser, flat_adamw, fused_adamw, plain_adamw
from benchmarks.on_gpu.cases import T, proxy, small_arch
from transxnet.arch import ArchConfig
from transxnet.kernels.choice import IMPLEMENTATIONS
from transxnet.variants import VARIANTS

REFERENCE = "reference"
FUSED = "fused AdamW"


@dataclass(frozen=True)
class Case:
    """A network and how many images it gets at once, of the size that it is made for."""

    name: str
    arch: ArchConfig
    batch: int


@dataclass(frozen=True)
class Row:
    """A way to compute a step."""

    name: str
    kernels: str
    channels_last: bool = True
    optimiser: Optimiser = flat_adamw
    """Makes it for a network; not felt in inference."""


def all_cases() -> list[Case]:
    """From the smallest network to the largest."""
    small_64 = small_arch().replace(image_size=(64, 64))
    return [
        Case("proxy_quick", proxy("quick"), 64),
        Case("small_32", small_arch(), 64),
        Case("small_32_b128", small_arch(), 128),
        Case("small_64", small_64, 64),
        Case("small_64_b128", small_64, 128),
        Case("proxy_cifar", proxy("cifar"), 64),
        Case("proxy_gpu", proxy("gpu"), 64),
        Case("t_32", T.replace(image_size=(32, 32)), 64),
        Case("t_64", T.replace(image_size=(64, 64)), 64),
        *(Case(f"{size}_224", VARIANTS[f"transxnet_{size}"].arch, 8) for size in "tsb"),
    ]


def all_rows(available: Sequence[str]) -> list[Row]:
    """The official graph with torch's plain AdamW; what helps without touching it; then, with the platform's flat
    AdamW, what is `available`."""
    return [
        Row(REFERENCE, REFERENCE, channels_last=False, optimiser=plain_adamw),
        Row(FUSED, REFERENCE, channels_last=False, optimiser=fused_adamw),
        Row("channels_last", REFERENCE, optimiser=plain_adamw),
        *(Row(name, name) for name in available if name != REFERENCE),
    ]


def chosen_kernels(names: Sequence[str]) -> list[str]:
    """The implementations of these names, all if there are none. Raises ValueError for a name that is none's."""
    for name in names:
        if name not in IMPLEMENTATIONS:
            raise ValueError(f"kernels must be one of {', '.join(IMPLEMENTATIONS)}, got {name!r}")
    return [name for name in IMPLEMENTATIONS if not names or name in names]
