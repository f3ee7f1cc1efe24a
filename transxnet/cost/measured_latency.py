"""What a measured latency is: percentiles over repeated runs, and the settings without which they mean nothing."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transxnet.bounds import read_image_size

DTYPES = ("float32", "bfloat16", "float16")
"""Of weights and images; float16 on a GPU only."""
LEAST_REPEATS = 2


@dataclass(frozen=True)
class LatencySettings:
    """What a latency depends on beside the network. Raises ValueError for a value out of range."""

    device: str
    """cpu, cuda or cuda:INDEX."""
    device_name: str
    """Model of the processor or GPU."""
    batch: int
    """Images at once."""
    dtype: str
    """One of DTYPES."""
    kernels: str
    """What computes the blocks; pytorch stands in where it cannot compute one."""
    threads: int
    """torch's threads on the CPU."""
    torch: str
    """torch's version."""
    image_size: tuple[int, int] | None = None
    """Height and width that the networks are made for; None: each network's own."""

    def __post_init__(self) -> None:
        check_device(self.device)
        check_dtype(self.dtype, self.device)
        for name in ("batch", "threads"):
            check_count(name, getattr(self, name))
        if self.image_size is not None:
            object.__setattr__(self, "image_size", read_image_size(self.image_size))

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits: equal settings have equal keys."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def is_on_gpu(self) -> bool:
        """Whether the network runs on a GPU."""
        return self.device != "cpu"

    def describe(self) -> str:
        """For people: "AMD EPYC, 1 thread, batch 1, float32, native kernels"."""
        threads = "" if self.is_on_gpu else f", {self.threads} thread{'s' * (self.threads > 1)}"
        size = "" if self.image_size is None else f", {self.image_size[0]}x{self.image_size[1]} px"
        return f"{self.device_name}{threads}, batch {self.batch}{size}, {self.dtype}, {self.kernels} kernels"

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON; `from_dict` is the inverse."""
        plain = dataclasses.asdict(self)
        return plain | {"image_size": None if self.image_size is None else list(self.image_size)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> LatencySettings:
        """The settings that `to_dict` described; raises ValueError for other keys."""
        return cls(**checked_keys(plain, cls, "latency settings"))


@dataclass(frozen=True)
class Latency:
    """How long one batch takes, in milliseconds: a tenth, half and nine tenths of the runs took no longer."""

    p10_ms: float
    p50_ms: float
    p90_ms: float
    repeats: int
    """Runs measured, after those that warmed up."""
    settings: LatencySettings

    @classmethod
    def of(cls, times_ms: Sequence[float], settings: LatencySettings) -> Latency:
        """The percentiles of the times of two or more runs."""
        deciles = statistics.quantiles(times_ms, n=10, method="inclusive")
        return cls(deciles[0], deciles[4], deciles[8], len(times_ms), settings)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON; `from_dict` is the inverse."""
        return dataclasses.asdict(self) | {"settings": self.settings.to_dict()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Latency:
        """The latency that `to_dict` described; raises ValueError for other keys."""
        values = checked_keys(plain, cls, "a latency")
        return cls(**{**values, "settings": LatencySettings.from_dict(values["settings"])})


@dataclass(frozen=True)
class Effort:
    """How thoroughly a network is measured. Raises ValueError for a value out of range."""

    warmup_runs: int = 5
    """Runs before the first measured one, at least ..."""
    warmup_seconds: float = 0.3
    """... and for at least so long: caches, clocks and allocators settle."""
    repeats: int = 20
    """Measured runs, at least ..."""
    seconds: float = 1.0
    """... and for at least so long."""

    def __post_init__(self) -> None:
        check_count("warmup_runs", self.warmup_runs, least=0)
        check_count("repeats", self.repeats, least=LEAST_REPEATS)
        for name in ("warmup_seconds", "seconds"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} must be 0 or above, got {value}; write for example 0.5")


def check_device(device: str) -> None:
    """Raises ValueError for what is not a device that latency is measured on."""
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise ValueError(f"device must be cpu, cuda or cuda:INDEX, got {device!r}; write for example cpu")


def check_dtype(dtype: str, device: str) -> None:
    """Raises ValueError for an unknown dtype, and for float16 on a CPU."""
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}; write for example float32")
    if dtype == "float16" and device == "cpu":
        raise ValueError("dtype float16 needs a GPU, got device cpu; write bfloat16 or float32")


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Raises ValueError unless `value` is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}; write for example {least}")


def checked_keys(plain: Mapping[str, Any], config: type, what: str) -> dict[str, Any]:
    """`plain` as a dict, if its keys are the fields of a dataclass; raises ValueError otherwise."""
    wanted = [field.name for field in dataclasses.fields(config)]
    if set(plain) != set(wanted):
        raise ValueError(f"{what} must have the keys {', '.join(wanted)}, got {', '.join(map(str, plain)) or 'none'}")
    return dict(plain)
