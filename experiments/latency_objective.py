"""How latency is measured where it is an objective: the settings, as the command line and this machine have them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from analysis.metrics import Metric
from experiments.latencies import Measure
from transxnet.cost import Effort, LatencySettings
from transxnet.cost.measured_latency import check_count, check_device, check_dtype
from transxnet.kernels.names import AUTO, check_name

LATENCY = "latency"
"""The objective's name in the table of metrics."""


@dataclass(frozen=True)
class LatencyConfig:
    """How latency is measured where it is an objective; ignored elsewhere. Raises ValueError for a wrong value."""

    device: str | None = None
    """cpu, cuda or cuda:INDEX; None: the GPU if the driver's machine has one."""
    batch: int = 1
    """Images at once."""
    dtype: str = "float32"
    """float32 or bfloat16, on a GPU also float16."""
    threads: int = 1
    """torch's threads on the CPU."""
    kernels: str = AUTO
    """How blocks are computed: auto, reference, pytorch, native or triton."""

    def __post_init__(self) -> None:
        with _keys_of_a_sweep():
            if self.device is not None:
                check_device(self.device)
            check_dtype(self.dtype, self.device or "cuda")  # whether there is a GPU is asked where latency is measured
            check_count("batch", self.batch)
            check_count("threads", self.threads)
            check_name(self.kernels)


def latency_settings(config: LatencyConfig, objectives: Sequence[Metric]) -> LatencySettings | None:
    """The settings on this machine, None if latency is no objective; raises ValueError for a missing device."""
    if not any(objective.name == LATENCY for objective in objectives):
        return None
    from transxnet.cost.timed import settings_here  # torch comes with it, for which other sweeps need not wait

    with _keys_of_a_sweep():
        return settings_here(config.device, config.batch, config.dtype, config.kernels, config.threads)


@contextmanager
def _keys_of_a_sweep() -> Iterator[None]:
    """Errors, which begin with a setting's name, begin with its key on the command line."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"latency.{error}") from error


def measure_by(settings: LatencySettings) -> Measure:
    """Measures on this machine."""
    from transxnet.cost.timed import measure_latency

    return lambda arch: measure_latency(arch, settings, Effort())


def latency_caution(settings: LatencySettings | None, search: str) -> str | None:
    """What to know where variants are proposed one by one: their latency is measured beside running trials."""
    if settings is None or search == "grid":
        return None
    return (
        f"search={search} proposes variants while trials run, and their latency is measured then: leave it a core "
        f"with resources.max_concurrent, or the busy machine slows it"
    )
