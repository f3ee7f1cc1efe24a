"""What a network costs: `estimate` by closed form, `measure` by fvcore, `latency` by the clock."""

from __future__ import annotations

from transxnet.arch import ArchConfig, read_image_size_at
from transxnet.bounds import ImageSize
from transxnet.cost.closed_form import COMPONENTS, estimate, estimate_components
from transxnet.cost.latency_table import LatencyTable
from transxnet.cost.measured_latency import Effort, Latency, LatencySettings
from transxnet.cost.memory import TrainingMemory, training_memory
from transxnet.cost_terms import OPERATORS, Cost

__all__ = ["COMPONENTS", "OPERATORS", "Cost", "Effort", "Latency", "LatencySettings", "LatencyTable", "TrainingMemory",
           "estimate", "estimate_components", "latency", "measure", "training_memory"]  # fmt: skip


def measure(arch: ArchConfig, image_size: ImageSize | None = None) -> Cost:
    """Build the plain network and count it by fvcore, operator by operator, for one image of `image_size` pixels.

    `estimate` must give the same; this is the judge and takes seconds. Raises ValueError if the trace has an
    operator whose cost nobody has decided on, and for an image size that is none.
    """
    from transxnet.cost.traced import measure_built  # torch and fvcore come with this call only

    return measure_built(
        arch, arch.image_size if image_size is None else read_image_size_at(image_size, arch.stem_stride)
    )


def latency(
    arch: ArchConfig,
    device: str = "cpu",
    batch: int = 1,
    dtype: str = "float32",
    *,
    kernels: str = "auto",
    threads: int | None = None,
    image_size: ImageSize | None = None,
    effort: Effort = Effort(),  # noqa: B008  # a value, never changed
) -> Latency:
    """Build the network and time its inference on `device`: cpu, cuda or cuda:INDEX; batches lie channels_last.

    `threads` are torch's on the CPU (those of now by default): one is timed by its own clock, more by the wall's.
    `image_size` is what the network is made for (its own by default). Weights are random. torch's threads and random
    state stay. Raises ValueError for a wrong value, and for a device that is not there.
    """
    from transxnet.cost.timed import measure_latency, settings_here

    return measure_latency(arch, settings_here(device, batch, dtype, kernels, threads, image_size), effort)
