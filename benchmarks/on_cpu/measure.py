"""A case, measured: time of all rows in turns, memory of one step of each, rounding errors beside it."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch.profiler import ProfilerActivity, profile

from benchmarks.on_cpu.cases import Case, Row
from benchmarks.on_cpu.parity import Parity
from benchmarks.on_cpu.steps import Step, make_step

LEAST_REPEATS, MOST_REPEATS = 5, 30


@dataclass(frozen=True)
class Measurement:
    """One row of a case."""

    case: str
    mode: str
    batch: int
    row: str
    step_ms: float
    """Median."""
    ratio: float
    """The reference's median over this one's: 2 is twice as fast."""
    peak_mib: float
    """Most that torch's allocations of a step held at once, on top of parameters, gradients and moments."""
    error_ratio: float | None
    """Error against float64 over the reference's own, the worst of logits, gradients and statistics; None: same graph
    as the reference."""


def measure_case(case: Case, mode: str, rows: Sequence[Row], seconds: float, parity: Parity) -> Iterator[Measurement]:
    """Every row; `rows[0]` is the reference. `seconds` is how long a row is repeated for at most."""
    steps = [make_step(case, row, mode) for row in rows]
    peaks = [peak_mib(step) for step in steps]  # a warm-up as well
    medians = interleaved_ms(steps, seconds)
    del steps
    gc.collect()
    for row, step_ms, peak in zip(rows, medians, peaks, strict=True):
        error = None if row.kernels == rows[0].kernels else parity.error_ratio(row.kernels, mode)
        yield Measurement(case.name, mode, case.batch, row.name, step_ms, medians[0] / step_ms, peak, error)


def interleaved_ms(steps: Sequence[Step], seconds: float) -> list[float]:
    """Median time of each step; they take turns, so that what else the machine does falls on all of them."""
    times: list[list[float]] = [[] for _ in steps]
    started = time.perf_counter()
    while _goes_on(len(times[0]), time.perf_counter() - started, seconds * len(steps)):
        for step, known in zip(steps, times, strict=True):
            known.append(_timed_ms(step))
    return [statistics.median(known) for known in times]


def _goes_on(repeats: int, passed: float, allowed: float) -> bool:
    return repeats < LEAST_REPEATS or (repeats < MOST_REPEATS and passed < allowed)


def _timed_ms(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return (time.perf_counter() - started) * 1e3


def peak_mib(step: Step) -> float:
    """What a step's allocations add up to at their highest; after two steps, which leave gradients and moments."""
    step(), step()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        step()
    assert profiled.profiler is not None
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = highest = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        highest = max(highest, held)
    return highest / 2**20


def top_operators(step: Step, count: int = 10) -> str:
    """A table of the operators of one step that take the longest themselves."""
    step()
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        step()
    return str(profiled.key_averages().table(sort_by="self_cpu_time_total", row_limit=count, max_name_column_width=48))
