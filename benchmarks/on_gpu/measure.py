"""One case, measured: every variant in turns with the baseline."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from benchmarks.on_gpu.cases import Case
from benchmarks.on_gpu.clock import interleaved_ms, peak_gib
from benchmarks.on_gpu.parity import parity_error
from benchmarks.on_gpu.variants import Variant, baseline, draw_batch, make_step, variants_of


@dataclass(frozen=True)
class Measurement:
    """A variant of a case; of one that failed only the error is known."""

    case: str
    implementation: str
    mode: str
    batch: int
    gmacs: float
    step_ms: float | None = None
    ratio: float | None = None
    """Baseline's time in the same rounds over this one's: 2 is twice as fast."""
    us_per_gmac: float | None = None
    """Microseconds of a training step for an image and a billion multiply-adds of its forward pass."""
    peak_gib: float | None = None
    parity: float | None = None
    """Error over the baseline's own under the same autocast."""
    error: str | None = None


@dataclass(frozen=True)
class Effort:
    """How long is measured."""

    rounds: int = 10
    repeats: int = 5
    """Steps of a round."""


def measure_case(case: Case, modes: list[str], device: torch.device, effort: Effort) -> Iterator[Measurement]:
    """One variant after the other; what fails (no memory, no compiler) is told and does not stop the rest."""
    variants = variants_of(case, modes)
    try:
        batch = draw_batch(case, case.batch, device)
        reference, reference_gib = peak_gib(lambda: make_step(case, variants[0], batch), device)
    except Exception as error:
        reason = failure(error)
        yield from (_failed(case, variant, f"the baseline: {reason}") for variant in variants)
        return
    for variant in variants:
        try:
            yield _measure(case, variant, reference, reference_gib, device, effort)
        except Exception as error:
            yield _failed(case, variant, failure(error))
        free(device)


def _measure(
    case: Case,
    variant: Variant,
    reference: Callable[[], object],
    reference_gib: float,
    device: torch.device,
    effort: Effort,
) -> Measurement:
    batch = draw_batch(case, case.batch, device)
    if variant == baseline(case):
        step, gib = reference, reference_gib
    else:
        step, gib = peak_gib(lambda: make_step(case, variant, batch), device)
    reference_ms, step_ms = interleaved_ms([reference, step], device, effort.rounds, effort.repeats)
    del step
    free(device)  # parity builds three networks
    return Measurement(
        case=case.name,
        implementation=variant.implementation,
        mode=variant.mode,
        batch=case.batch,
        gmacs=case.gmacs,
        step_ms=step_ms,
        ratio=reference_ms / step_ms,
        us_per_gmac=step_ms * 1e3 / case.batch / case.gmacs,
        peak_gib=gib,
        parity=parity_error(case, variant.implementation, device, with_compile=variant.compiled),
    )


def _failed(case: Case, variant: Variant, reason: str) -> Measurement:
    return Measurement(case.name, variant.implementation, variant.mode, case.batch, case.gmacs, error=reason)


def failure(error: Exception) -> str:
    """In one line."""
    return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}"


def free(device: torch.device) -> None:
    """Give back what nobody holds any more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
