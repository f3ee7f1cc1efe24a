"""Steps on a CPU: every implementation in turns with the reference graph, in one process.

    python -m benchmarks.step [--cases small_32 t_224] [--modes train] [--kernels reference pytorch] [--out FILE]

The reference is the official graph with torch's plain AdamW. The implementations train as the platform does: on
channels_last, with experiments.flat_adamw and clipping. What channels_last and torch's fused AdamW do without them
stands in rows of their own.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

# Before torch comes: many shapes in one process would push each other out of oneDNN's primitive cache of 1,024.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16384")
os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's own chatter
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # and its warning of memory that lay there before it began

import torch

from benchmarks.chosen import chosen
from benchmarks.on_cpu.cases import FUSED, REFERENCE, Case, Row, all_cases, all_rows, chosen_kernels
from benchmarks.on_cpu.measure import Measurement, measure_case, top_operators
from benchmarks.on_cpu.parity import Parity
from benchmarks.on_cpu.report import HEADER, line, write_json
from benchmarks.on_cpu.steps import MODES, is_computed_by, make_step

QUICK = ("proxy_quick",)
QUICK_SECONDS, QUICK_BATCH = 0.1, 8


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; returns the exit code."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        cases = _cases(options)
        kernels = chosen_kernels(options.kernels)
    except ValueError as error:
        print(f"benchmarks.step: {error}", file=sys.stderr)
        return 1
    profiles: dict[str, str] = {}
    measurements: list[Measurement] = []
    print(HEADER)
    for measurement in _measured(cases, kernels, options):
        measurements.append(measurement)
        print(line(measurement), flush=True)
        write_json(options.out, measurements, profiles)
    if options.profile:
        for case in cases:
            profiles |= _profiles(case, _rows(case, kernels))
    write_json(options.out, measurements, profiles)
    print(options.out)
    return 0


def _cases(options: argparse.Namespace) -> list[Case]:
    if not options.quick:
        return chosen(all_cases(), options.cases)
    return [replace(case, batch=QUICK_BATCH) for case in chosen(all_cases(), options.cases or QUICK)]


def _measured(cases: Sequence[Case], kernels: Sequence[str], options: argparse.Namespace) -> Iterator[Measurement]:
    seconds = QUICK_SECONDS if options.quick else options.seconds
    for case in cases:
        parity = Parity(case)
        for mode in options.modes:
            rows = [row for row in _rows(case, kernels) if mode == "train" or row.name != FUSED]
            yield from measure_case(case, mode, rows, seconds, parity)


def _rows(case: Case, kernels: Sequence[str]) -> list[Row]:
    return all_rows([name for name in kernels if is_computed_by(case, name)])


def _profiles(case: Case, rows: Sequence[Row]) -> dict[str, str]:
    """The top ten operators of a training step, before and after."""
    tables = {}
    for row in rows:
        if row.name not in (REFERENCE, row.kernels):  # the reference's graph again
            continue
        tables[f"{case.name} {row.name}"] = top_operators(make_step(case, row, "train"))
        print(f"\n{case.name}, {row.name}: one training step\n{tables[f'{case.name} {row.name}']}", flush=True)
    return tables


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step", description="Steps on a CPU.")
    parser.add_argument("--cases", nargs="*", default=[], metavar="NAME", help="all if none is given")
    parser.add_argument("--kernels", nargs="*", default=[], metavar="NAME", help="all that run here if none is given")
    parser.add_argument("--modes", nargs="*", default=list(MODES), choices=MODES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0, help="of repeats a row, at least five repeats")
    parser.add_argument("--profile", action="store_true", help="the top ten operators of a training step as well")
    parser.add_argument("--quick", action="store_true", help="a test of seconds: the smallest case, 8 images")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/step.json"))
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
