"""Training steps on a GPU: the reference graph against the Triton kernels, compiled and as CUDA graphs.

    python -m benchmarks.gpu [--cases small_32 transxnet_t_224] [--modes eager graph] [--out FILE]

Needs torch, timm, Triton and a GPU; neither Ray nor Optuna.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.chosen import chosen
from benchmarks.on_gpu.cases import CHANNELS_LAST, REFERENCE, all_cases
from benchmarks.on_gpu.measure import Effort, Measurement, failure, measure_case
from benchmarks.on_gpu.report import SHARING_COLUMNS, STEP_COLUMNS, sharing_rows, step_rows, table, write_json
from benchmarks.on_gpu.sharing import Sharing, Trial, failed, trials_an_hour
from benchmarks.on_gpu.variants import MODES, Variant

NO_GPU = 2
"""Exit code on a machine without a GPU."""
SHARED_PROXY = "cifar"
SHARED_VARIANTS = (Variant(REFERENCE, "eager"), Variant(CHANNELS_LAST, "graph"), Variant("triton", "graph"))


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write; returns the exit code."""
    options = _parser().parse_args(arguments)
    if not torch.cuda.is_available():
        print("benchmarks.gpu needs a GPU, torch finds none here; benchmarks.step measures on a CPU", file=sys.stderr)
        return NO_GPU
    torch.backends.cudnn.benchmark = True  # the shapes stay: the reference is given its fastest convolutions
    try:
        run(options, torch.device("cuda"))
    except ValueError as error:
        print(f"benchmarks.gpu: {error}", file=sys.stderr)
        return 1
    return 0


def run(options: argparse.Namespace, device: torch.device) -> None:
    """Both parts; what is known so far is on disk after each measurement. Raises ValueError for a wrong name."""
    measurements: list[Measurement] = []
    sharings: list[Sharing] = []
    for measurement in _steps(options, device) if options.only != "sharing" else ():
        measurements.append(measurement)
        print(" ".join(step_rows([measurement])[0]), flush=True)
        write_json(options.out, device, measurements, sharings)
    for sharing in _sharings(options, device) if options.only != "steps" else ():
        sharings.append(sharing)
        print(" ".join(sharing_rows([sharing])[0]), flush=True)
        write_json(options.out, device, measurements, sharings)
    print(f"\n{table(STEP_COLUMNS, step_rows(measurements))}")
    print(f"\n{table(SHARING_COLUMNS, sharing_rows(sharings))}\n\n{options.out}")


def _steps(options: argparse.Namespace, device: torch.device) -> Iterator[Measurement]:
    effort = Effort(options.rounds, options.repeats)
    for case in chosen(all_cases(options.batch), options.cases):
        yield from measure_case(case, options.modes, device, effort)


def _sharings(options: argparse.Namespace, device: torch.device) -> Iterator[Sharing]:
    for processes in options.processes:
        for variant in SHARED_VARIANTS:
            trial = Trial(SHARED_PROXY, variant, options.batch, options.trial_steps)
            try:
                yield trials_an_hour(trial, processes, str(device))
            except Exception as error:
                yield failed(trial, processes, failure(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description="Training steps on a GPU.")
    parser.add_argument("--cases", nargs="*", default=[], metavar="NAME", help="all if none is given")
    parser.add_argument("--modes", nargs="*", default=list(MODES), metavar="MODE", help=", ".join(MODES))
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=Effort.rounds, help="turns of each step; the median counts")
    parser.add_argument("--repeats", type=int, default=Effort.repeats, help="steps a turn")
    parser.add_argument("--processes", nargs="*", type=int, default=[1, 2, 4], help="trials at once on the GPU")
    parser.add_argument("--trial-steps", type=int, default=500)
    parser.add_argument("--only", choices=("steps", "sharing"), help="one of the two parts")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/gpu.json"))
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
