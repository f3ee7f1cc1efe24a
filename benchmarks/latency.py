"""How well a table of measured blocks predicts the latency of networks that nobody measured.

    python -m benchmarks.latency [--space transxnet] [--image-size 64] [--held-out 24] [--kernels auto] [--out FILE]

Measures the parts of a space's networks, then held-out networks whole, and compares. Beside the table stands what is
commonly taken for latency: a factor on multiply-adds, fitted to the same networks that calibrate the table.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.on_latency.errors import Errors
from benchmarks.on_latency.networks import draw, predictable
from benchmarks.out import require_writable
from experiments.provenance import code_version, machine
from space.presets import load_preset
from transxnet.arch import ArchConfig
from transxnet.cost import LatencySettings, LatencyTable, estimate
from transxnet.cost.measured_latency import check_count
from transxnet.cost.timed import settings_here
from transxnet.cost.timed_parts import TorchBench

AT_ONCE = 12
"""Whole networks that take turns; they lie in memory together."""
LEAST = {"image_size": 1, "held_out": 2, "sample": 1, "seed": 0, "batch": 1, "threads": 1, "passes": 1, "rounds": 1}
"""The least value of each number of the command line."""
QUICK = {"space": "tiny_demo", "image_size": 32, "sample": 30, "held_out": 2, "passes": 1, "rounds": 2}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; returns the exit code."""
    options = _parser().parse_args(arguments)
    if options.quick:
        vars(options).update(QUICK)
    console = Console()
    try:
        for name, least in LEAST.items():
            check_count(name, getattr(options, name), least)
        require_writable(options.out)
        found = run(options, console)
    except ValueError as error:
        print(f"benchmarks.latency: {error}", file=sys.stderr)
        return 2
    options.out.write_text(json.dumps(found, indent=2) + "\n")
    console.print(str(options.out), highlight=False)
    return 0


def run(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """All that was measured, as plain JSON. Raises ValueError for a wrong option."""
    space = load_preset(options.space)
    settings = settings_here(options.device, options.batch, options.dtype, options.kernels, options.threads)
    networks = draw(space, options.sample, options.held_out, options.seed, options.image_size)
    console.print(f"{space.name}: {settings.describe()}", highlight=False)
    bench, started = TorchBench(settings, options.rounds), time.monotonic()
    with Progress(console=console, transient=True) as shown:
        task = shown.add_task("parts")
        table = LatencyTable.measure(
            networks.known,
            settings,
            passes=options.passes,
            bench=bench,
            progress=lambda done, total: shown.update(task, completed=done, total=total),
        )
    seconds = time.monotonic() - started
    held_out = predictable(networks.held_out, table.predict)
    if len(held_out) < 2:
        raise ValueError(f"a test needs two held-out networks, got {len(held_out)}; raise --sample or --held-out")
    measured = measure_whole(held_out, bench, options.passes)
    told = compare(table, held_out)
    console.print(_network_table(held_out, measured, told))
    console.print(_error_table(told, measured))
    wholes = len(table.calibration.points)
    console.print(
        f"{table.size} parts and {wholes} networks measured {options.passes} times in {seconds:.0f} s; {len(held_out)} "
        f"held-out networks, {len(networks.held_out) - len(held_out)} more had a part that was not measured",
        highlight=False,
    )
    return {
        **_conditions(settings),
        "seconds": seconds,
        "parts": table.size,
        "errors": {name: dataclasses.asdict(Errors.of(told[name], measured)) for name in told},
        "held_out": [
            {"arch": arch.to_dict(), "measured_ms": ms, **{name: told[name][place] for name in told}}
            for place, (arch, ms) in enumerate(zip(held_out, measured, strict=True))
        ],
        "table": table.to_dict(),
    }


def measure_whole(archs: Sequence[ArchConfig], bench: TorchBench, passes: int) -> list[float]:
    """Milliseconds of each network, in turns; the median of the passes."""
    groups = [archs[start : start + AT_ONCE] for start in range(0, len(archs), AT_ONCE)]
    times = [[ms for group in groups for ms in bench.times_ms(group)] for _ in range(passes)]
    return [statistics.median(found) for found in zip(*times, strict=True)]


TABLE, MACS = "table", "multiply-adds"


def compare(table: LatencyTable, archs: Sequence[ArchConfig]) -> dict[str, list[float]]:
    """Predictions in milliseconds, by the way they are made."""
    points = table.calibration.points
    factor = statistics.median(point.measured_ms / estimate(point.arch).gmacs for point in points)
    return {
        TABLE: [table.predict(arch) for arch in archs],
        MACS: [factor * estimate(arch).gmacs for arch in archs],
    }


def _network_table(archs: Sequence[ArchConfig], measured: Sequence[float], told: dict[str, list[float]]) -> Table:
    shown = Table("held-out", "GMACs", "measured, ms", *(f"{name}, ms" for name in told), "error, %")
    for place in sorted(range(len(archs)), key=lambda place: measured[place]):
        ms, predicted = measured[place], told[TABLE][place]
        shown.add_row(
            archs[place].id[:8],
            f"{estimate(archs[place]).gmacs:.3f}",
            f"{ms:.2f}",
            *(f"{told[name][place]:.2f}" for name in told),
            f"{100 * (predicted / ms - 1):+.1f}",
        )
    return shown


def _error_table(told: dict[str, list[float]], measured: Sequence[float]) -> Table:
    shown = Table("predicted by", "median error, %", "largest, %", "rank correlation")
    for name, predicted in told.items():
        errors = Errors.of(predicted, measured)
        shown.add_row(
            name, f"{errors.median_percent:.1f}", f"{errors.max_percent:.1f}", f"{errors.rank_correlation:.3f}"
        )
    return shown


def _conditions(settings: LatencySettings) -> dict[str, Any]:
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return {"date": date, "code": code_version(), "machine": machine(), "settings": settings.to_dict()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description="A latency table's errors.")
    parser.add_argument("--space", default="transxnet", metavar="NAME", help="a space that comes with the project")
    parser.add_argument("--image-size", type=int, default=64, help="pixels that the networks are made for")
    parser.add_argument("--held-out", type=int, default=24, help="networks that are predicted and measured")
    parser.add_argument("--sample", type=int, default=3000, help="random networks from whose parts the table is made")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--device", help="cpu, cuda or cuda:INDEX; the GPU, if there is one, if left out")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--kernels", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--passes", type=int, default=3, help="over all parts; the median counts")
    parser.add_argument("--rounds", type=int, default=TorchBench.rounds, help="turns of each part in a pass")
    parser.add_argument("--quick", action="store_true", help="a test of seconds: the smallest space")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/latency.json"))
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
