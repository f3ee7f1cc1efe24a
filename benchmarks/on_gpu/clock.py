"""Times of steps that take turns, so that a machine's moods fall on all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

WARM_UP_STEPS = 3


def interleaved_ms(steps: list[Callable[[], object]], device: torch.device, rounds: int, repeats: int) -> list[float]:
    """Milliseconds of each step: the median over `rounds` of the mean of `repeats` calls."""
    for step in steps:
        for _ in range(WARM_UP_STEPS):
            step()
    times: list[list[float]] = [[] for _ in steps]
    for _ in range(rounds):
        for step, found in zip(steps, times, strict=True):
            found.append(_mean_ms(step, device, repeats))
    return [statistics.median(found) for found in times]


def peak_gib(step: Callable[[], Callable[[], object]], device: torch.device) -> tuple[Callable[[], object], float]:
    """What `step` makes, and the memory that making and two calls took, in GiB; 0 on a CPU."""
    if device.type != "cuda":
        return step(), 0.0
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    made = step()
    for _ in range(2):
        made()
    torch.cuda.synchronize(device)
    return made, (torch.cuda.max_memory_allocated(device) - before) / 2**30


def _mean_ms(step: Callable[[], object], device: torch.device, repeats: int) -> float:
    if device.type != "cuda":
        started = time.perf_counter()
        for _ in range(repeats):
            step()
        return (time.perf_counter() - started) / repeats * 1e3
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    torch.cuda.synchronize(device)
    start.record()
    for _ in range(repeats):
        step()
    stop.record()
    stop.synchronize()
    return float(start.elapsed_time(stop)) / repeats
