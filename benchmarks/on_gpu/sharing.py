"""Several small trials on one device at once: how many end in an hour."""

from __future__ import annotations

import time
from dataclasses import dataclass
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier

import torch
import torch.multiprocessing as multiprocessing

from benchmarks.on_gpu.cases import proxy, transxnet_case
from benchmarks.on_gpu.variants import Variant, draw_batch, make_step

WARM_UP_SECONDS = 600
"""Time for kernels to be compiled and tuned."""


@dataclass(frozen=True)
class Sharing:
    """Trials an hour of so many processes on one device; where they failed only the error is known."""

    proxy: str
    implementation: str
    mode: str
    processes: int
    trials_an_hour: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class Trial:
    """What a trial costs here: a network built, recorded if graphed, and trained for `steps` batches."""

    proxy: str
    variant: Variant
    batch: int
    steps: int


def trials_an_hour(trial: Trial, processes: int, device: str, trials_each: int = 2) -> Sharing:
    """All processes begin together, after a trial of theirs that warmed up; the last one to end counts."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    seconds = context.SimpleQueue()
    arguments = (trial, device, trials_each, barrier, seconds)
    workers = [context.Process(target=_work, args=arguments) for _ in range(processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise RuntimeError(f"{processes} processes on {device}: a trial failed, its error stands above")
    longest: float = max(seconds.get() for _ in workers)
    hourly = processes * trials_each * 3600 / longest
    return Sharing(trial.proxy, trial.variant.implementation, trial.variant.mode, processes, hourly)


def failed(trial: Trial, processes: int, reason: str) -> Sharing:
    """What is told of processes that failed."""
    return Sharing(trial.proxy, trial.variant.implementation, trial.variant.mode, processes, error=reason)


def run_trial(trial: Trial, device: torch.device) -> float:
    """One trial; returns its last loss."""
    case = transxnet_case(trial.proxy, proxy(trial.proxy), trial.batch)
    step = make_step(case, trial.variant, draw_batch(case, trial.batch, device))
    for _ in range(trial.steps):
        loss = step()
    assert isinstance(loss, torch.Tensor)
    return loss.item()  # waits for the device


def _work(trial: Trial, device: str, trials_each: int, barrier: Barrier, seconds: SimpleQueue[float]) -> None:
    torch.set_num_threads(1)
    run_trial(Trial(trial.proxy, trial.variant, trial.batch, steps=1), torch.device(device))
    barrier.wait(timeout=WARM_UP_SECONDS)  # so that nobody waits for a process that died
    started = time.perf_counter()
    for _ in range(trials_each):
        run_trial(trial, torch.device(device))
    seconds.put(time.perf_counter() - started)
