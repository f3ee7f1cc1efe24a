"""Costs of architectures a second on one core: the closed form in its three ways, fvcore, and torch's own counter.

    python -m benchmarks.cost [--points N] [--columns N] [--ones N] [--repeats N] [--quick] [--out FILE]

The closed form is asked for parameters and multiply-adds of random legal points: from a space's tables, as numpy
columns of architectures, and one architecture at a time. fvcore counts T, S and B as built, at 224 px; torch's
FlopCounterMode counts them on the meta device, where nothing is computed, and leaves out norms and pooling.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

# One core for all sides: before the libraries come that read it.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from benchmarks.out import require_writable
from space.presets import load_preset
from space.space import Space
from transxnet.arch import ArchConfig
from transxnet.columns import ArchColumns
from transxnet.cost import estimate, measure
from transxnet.variants import VARIANTS

SMALLER, LARGEST = "transxnet", "everything"
LISTED = ("idconv_kernel", "idconv_groups", "osr_stride", "ffn_ratio", "ffn_kernels")
"""Dimensions of SMALLER that leave a space of some million points, small enough to be listed."""
BUILT = ("transxnet_t", "transxnet_s", "transxnet_b")
MAIN = ("params", "macs")
FVCORE, META = "fvcore", "meta device"


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    points: int = 1_000_000
    columns: int = 20_000
    ones: int = 2_000
    repeats: int = 5
    """Of each measurement; three at most of what builds a network."""
    listed: tuple[str, ...] = LISTED
    built: tuple[str, ...] = BUILT

    def __post_init__(self) -> None:
        for name in ("points", "columns", "ones", "repeats"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


QUICK = Sizes(points=1_000, columns=50, ones=20, repeats=1, listed=("osr_stride", "ffn_ratio"), built=BUILT[:1])


@dataclass(frozen=True)
class Row:
    """A measurement."""

    way: str
    what: str
    architectures: int
    seconds: float
    peak_mib: float | None = None
    """Memory of a process that does nothing else."""

    @property
    def rate(self) -> float:
        """Architectures a second."""
        return self.architectures / self.seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; returns the exit code."""
    options = _parser().parse_args(arguments)
    asked = {name: getattr(options, name) for name in ("points", "columns", "ones", "repeats")}
    try:
        sizes = dataclasses.replace(
            QUICK if options.quick else Sizes(), **{k: n for k, n in asked.items() if n is not None}
        )
        require_writable(options.out)
    except ValueError as error:
        print(f"benchmarks.cost: {error}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    print(HEADER)
    for row in measured(sizes):
        rows.append(row)
        print(line(row, rows), flush=True)
    _write(options.out, sizes, rows)
    print(options.out)
    return 0


HEADER = (
    f"{'way':19} {'architectures':37} {'seconds':>9} {'a second':>12} {'to fvcore':>12} {'to meta':>12} {'peak MiB':>9}"
)


def line(row: Row, rows: Sequence[Row]) -> str:
    """Under HEADER: the ratios are to how many a second fvcore and the meta device count of T."""
    judges = {judge.way: judge for judge in rows if judge.what == BUILT[0]}
    ratios = [_short(row.rate / judges[way].rate) if way in judges else "" for way in (FVCORE, META)]
    peak = "" if row.peak_mib is None else f"{row.peak_mib:.0f}"
    cells = f"{row.seconds:9.4g} {_short(row.rate):>12} {ratios[0]:>12} {ratios[1]:>12} {peak:>9}"
    return f"{row.way:19} {row.what:37} {cells}".rstrip()


def measured(sizes: Sizes) -> Iterator[Row]:
    """Each measurement as it ends: seconds are the median of the repeats."""
    for way, count in ((FVCORE, measure), (META, _by_torch)):
        for name in sizes.built:
            count(VARIANTS[name].arch)  # the first loads code
            yield _row(way, name, 1, [partial(count, VARIANTS[name].arch)] * min(3, sizes.repeats))
    largest = load_preset(LARGEST)
    # Others in each turn: stages that were seen before are remembered.
    turns = [_random_archs(largest, sizes.ones, seed) for seed in range(sizes.repeats)]
    yield _row("one at a time", f"{sizes.ones:,} of {LARGEST}", sizes.ones, [partial(_one_by_one, t) for t in turns])
    archs = _random_archs(largest, sizes.columns, seed=sizes.repeats)
    what, repeats = f"{sizes.columns:,} of {LARGEST}", sizes.repeats
    yield _row("columns made, too", what, sizes.columns, [lambda: estimate(ArchColumns.of(archs)).macs] * repeats)
    columns = ArchColumns.of(archs)
    yield _row("columns", what, sizes.columns, [lambda: estimate(columns).macs] * repeats)
    for space in (largest, load_preset(SMALLER)):
        codes = space.sample(sizes.points, np.random.default_rng(0)).points.codes
        what, look_up = f"{sizes.points:,} of {space.name}", partial(space.prices.add_up, codes, MAIN)
        yield _row("tables", what, sizes.points, [look_up] * repeats)
    yield _listing(sizes)


def _row(way: str, what: str, architectures: int, turns: Sequence[Callable[[], object]]) -> Row:
    return Row(way, what, architectures, statistics.median(map(_seconds, turns)))


def _one_by_one(archs: Sequence[ArchConfig]) -> list[int]:
    return [estimate(arch).macs for arch in archs]


def _listing(sizes: Sizes) -> Row:
    """In a process of its own, whose memory is the listing's."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        size, seconds, peak_mib = pool.apply(_list_all, (sizes.listed,))
    return Row("whole space, listed", f"{size:,} points, tables made too", size, seconds, peak_mib)


def _list_all(dimensions: tuple[str, ...]) -> tuple[int, float, float]:
    described = load_preset(SMALLER).to_dict()
    described["dimensions"] = [one for one in described["dimensions"] if one["name"] in dimensions]
    space = Space.from_dict(described)
    seconds = _seconds(space.enumerate)
    return space.size, seconds, _peak_mib()


def _peak_mib() -> float:
    """The most memory that this process had. Linux counts in ru_maxrss what the process was started from, too."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _random_archs(space: Space, n: int, seed: int) -> list[ArchConfig]:
    points = space.sample(n, np.random.default_rng(seed)).points
    return [points.arch(row) for row in range(n)]


def _by_torch(arch: ArchConfig) -> object:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from transxnet.network import TransXNet

    with torch.device("meta"):
        network, image = TransXNet(arch).eval(), torch.empty(1, arch.in_channels, *arch.image_size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    return counter.get_total_flops()


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _write(path: Path, sizes: Sizes, rows: Sequence[Row]) -> None:
    from experiments.provenance import code_version, machine, package_versions

    content = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": code_version(),
        "machine": machine(),
        "packages": package_versions(),
        "sizes": dataclasses.asdict(sizes),
        "rows": [{**dataclasses.asdict(row), "rate": row.rate} for row in rows],
    }
    path.write_text(json.dumps(content, indent=2) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost", description="Costs of architectures a second.")
    parser.add_argument("--points", type=int, help=f"looked up in tables, {Sizes.points:,} by default")
    parser.add_argument("--columns", type=int, help=f"architectures as columns, {Sizes.columns:,} by default")
    parser.add_argument("--ones", type=int, help=f"architectures one at a time, {Sizes.ones:,} by default")
    parser.add_argument("--repeats", type=int, help=f"of the closed form, {Sizes.repeats} by default")
    parser.add_argument("--quick", action="store_true", help="a test of seconds")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/cost.json"))
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
