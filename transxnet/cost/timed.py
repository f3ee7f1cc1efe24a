"""The clock: how long the built network takes for a batch, on a CPU or a GPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from transxnet.arch import ArchConfig, StageConfig
from transxnet.block import Block
from transxnet.bounds import ImageSize
from transxnet.cost.measured_latency import Effort, Latency, LatencySettings, check_count, check_device, check_dtype
from transxnet.kernels.choice import IMPLEMENTATIONS, implementation
from transxnet.kernels.names import check_name
from transxnet.network import TransXNet
from transxnet.processor import processor_name

_OWN_BLOCK = StageConfig(depth=1, width=16, heads=1, osr_stride=1)
"""The smallest of TransXNet's own."""

Step = Callable[[], object]


def settings_here(
    device: str | None = "cpu",
    batch: int = 1,
    dtype: str = "float32",
    kernels: str = "auto",
    threads: int | None = None,
    image_size: ImageSize | None = None,
) -> LatencySettings:
    """The settings of a latency on this machine, with what `kernels` really are here.

    `device` None is the GPU if there is one; `threads` None is what torch uses now. Raises ValueError for a value out
    of range and for a device that is not there.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    check_device(device)
    check_dtype(dtype, device)
    check_count("batch", batch)
    return LatencySettings(
        device=device,
        device_name=device_name(device),
        batch=batch,
        dtype=dtype,
        kernels=_kernels_used(check_name(kernels), device, dtype),
        threads=torch.get_num_threads() if threads is None else threads,
        torch=str(torch.__version__),
        image_size=image_size,  # type: ignore[arg-type]  # one number is both sides
    )


def measure_latency(arch: ArchConfig, settings: LatencySettings, effort: Effort) -> Latency:
    """Build `arch` and time its inference; torch's threads and random state stay as they are.

    Raises ValueError for settings of another machine.
    """
    with conditions(settings):
        step = network_step(arch, settings)
        _repeat(step, settings, effort.warmup_runs, effort.warmup_seconds)
        return Latency.of(_repeat(step, settings, effort.repeats, effort.seconds), settings)


def network_step(arch: ArchConfig, settings: LatencySettings) -> Step:
    """One inference of a network with random weights; to be run under `conditions`."""
    arch = arch.replace(image_size=settings.image_size or arch.image_size)
    network = TransXNet(arch, kernels=settings.kernels)
    return module_step(network, (arch.in_channels, *arch.image_size), settings)


def module_step(module: nn.Module, shape: tuple[int, int, int], settings: LatencySettings) -> Step:
    """One inference of a module on a batch of maps of `shape` (channels, height, width), which lie channels_last."""
    device, dtype = torch.device(settings.device), getattr(torch, settings.dtype)
    module = module.eval().to(device, dtype).to(memory_format=torch.channels_last)
    maps = torch.randn(settings.batch, *shape).to(device, dtype).contiguous(memory_format=torch.channels_last)

    def step() -> Tensor:
        out: Tensor = module(maps)
        return out

    return step


@contextmanager
def conditions(settings: LatencySettings) -> Iterator[None]:
    """Inference mode, the settings' threads, weights from one seed; all as before afterwards.

    Raises ValueError if this machine is not the settings' own.
    """
    _require_here(settings)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(settings.threads)
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            torch.manual_seed(0)
            yield
    finally:
        torch.set_num_threads(threads)


def run_ms(step: Step, settings: LatencySettings) -> float:
    """Milliseconds of one run; on a GPU between two events on its own clock.

    On one CPU thread by that thread's clock: what other programs take of the core meanwhile does not count.
    """
    if settings.is_on_gpu:
        return _gpu_ms(step, torch.device(settings.device))
    clock = time.thread_time if settings.threads == 1 else time.perf_counter
    started = clock()
    step()
    return (clock() - started) * 1e3


def device_name(device: str) -> str:
    """Model of the GPU, or of the processor; raises ValueError for a GPU that is not there."""
    if device == "cpu":
        return processor_name()
    index = torch.device(device).index or 0
    if index >= torch.cuda.device_count():
        raise ValueError(f"device must be there, got {device} where torch finds {_gpus()}; write for example cpu")
    return str(torch.cuda.get_device_name(index))


def _repeat(step: Step, settings: LatencySettings, runs: int, seconds: float) -> list[float]:
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < runs or time.perf_counter() - started < seconds:
        times.append(run_ms(step, settings))
    return times


def _gpu_ms(step: Step, device: torch.device) -> float:
    with torch.cuda.device(device):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        torch.cuda.synchronize(device)
        start.record()
        step()
        stop.record()
        stop.synchronize()
    return float(start.elapsed_time(stop))


def _kernels_used(kernels: str, device: str, dtype: str) -> str:
    """The name of what computes TransXNet's own blocks where `kernels` is asked for."""
    with torch.inference_mode(), torch.random.fork_rng(devices=[]):
        block = Block(_OWN_BLOCK, 0.0).eval().to(device, getattr(torch, dtype))
        x = torch.zeros(1, _OWN_BLOCK.width, 4, 4, device=device, dtype=getattr(torch, dtype))
        chosen = implementation(kernels, block, x)
    return next(name for name, function in IMPLEMENTATIONS.items() if function is chosen)


def _require_here(settings: LatencySettings) -> None:
    here = device_name(settings.device), str(torch.__version__)
    if here != (settings.device_name, settings.torch):
        raise ValueError(
            f"a latency is measured where its settings are from, got settings of {settings.device_name}, torch "
            f"{settings.torch} on {here[0]}, torch {here[1]}; measure anew with the settings of this machine"
        )


def _gpus() -> str:
    count = torch.cuda.device_count()
    return f"{count} GPU{'s' * (count != 1)}" if count else "no GPU"
