"""How long a large record takes to be opened, taken up by a sweep, described and reported on, and with what memory.

    python -m benchmarks.store [--variants N] [--studies N] [--parts NAME ...] [--folder DIR] [--quick] [--out FILE]

Makes a database of N variants with two seeds and 20 epochs each in one study (or spread over several, of which the
first is measured), then does each thing in a process of its own, start and imports included. A database that is in
--folder already is measured as it is.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.big_record import Made, Size, make_record
from benchmarks.out import require_writable
from benchmarks.store_part import PARTS, Asked

QUICK = Size(variants=60, epochs=3)
MOST_SECONDS = 300
"""A part that takes longer is given up: it is to take ten."""


@dataclass(frozen=True)
class Row:
    """What a part took."""

    part: str
    seconds: float
    """Of the whole process, by the clock."""
    cpu_seconds: float | None = None
    """None, as the memory, of a part that was given up."""
    peak_mib: float | None = None
    told: str = ""
    """What else there is to say of it."""

    def __str__(self) -> str:
        if self.cpu_seconds is None or self.peak_mib is None:
            return f"{self.part:30} more than {self.seconds:.0f} seconds"
        return f"{self.part:30} {self.seconds:8.2f} {self.cpu_seconds:8.2f} {self.peak_mib:9.0f}  {self.told}".rstrip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Make, measure, print, write; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        size = _size(options)
        require_writable(options.out)
    except ValueError as error:
        print(f"benchmarks.store: {error}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="store-") as temporary:
        folder = Path(temporary) if options.folder is None else options.folder
        folder.mkdir(parents=True, exist_ok=True)
        made = _made(folder, size)
        print(f"{'part':30} {'seconds':>8} {'CPU s':>8} {'peak MiB':>9}")
        rows = []
        for row in measured(folder, size, options.parts):
            rows.append(row)
            print(row, flush=True)
    _write(options.out, size, made, rows)
    print(options.out)
    return 0


def measured(folder: Path, size: Size, parts: Sequence[str]) -> Iterator[Row]:
    """A row a part, in the order of PARTS."""
    words = {"url": _url(folder), "study": size.names[0], "variants": size.variants_each, "seeds": size.seeds}
    asked = Asked(**words, epochs=size.epochs, folder=folder)
    environment = _with_byte_code(folder)
    for part in parts:
        out = folder / "part.json"
        command = [sys.executable, "-m", "benchmarks.store_part", part, _json(asked), str(out)]
        start = time.perf_counter()
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=MOST_SECONDS, env=environment
            )
        except subprocess.TimeoutExpired:
            yield Row(part, MOST_SECONDS)
            continue
        seconds = time.perf_counter() - start
        if done.returncode:
            raise RuntimeError(f"the part {part!r} of the benchmark failed:\n{done.stdout}{done.stderr}")
        yield Row(part, seconds, **json.loads(out.read_text()))


def _made(folder: Path, size: Size) -> Made | None:
    """What was written; None where a database is there already. In a process of its own, whose memory ends with it."""
    if (folder / "record.db").exists():
        print(f"the record in {folder}, as it is")
        return None
    start = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        made = pool.apply(make_record, (_url(folder), size))
    mib = (folder / "record.db").stat().st_size / 2**20
    told = f"{made.trials:,} trials, {made.epochs:,} epochs, {made.architectures:,} architectures"
    print(f"{told}: {mib:,.0f} MiB, made in {time.perf_counter() - start:.0f} s")
    return made


def _with_byte_code(folder: Path) -> dict[str, str]:
    """The environment of a part: modules were imported before, as on any machine where the project is in use."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "byte_code")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    modules = "analysis.report, analysis.studies, benchmarks.big_record, experiments.driver, experiments.optuna_view"
    subprocess.run([sys.executable, "-c", f"import {modules}"], env=environment, check=True)
    return environment


def _url(folder: Path) -> str:
    return f"sqlite:///{folder.absolute() / 'record.db'}"


def _json(asked: Asked) -> str:
    return json.dumps({**dataclasses.asdict(asked), "folder": str(asked.folder)})


def _write(path: Path, size: Size, made: Made | None, rows: Sequence[Row]) -> None:
    from experiments.provenance import code_version, machine, package_versions

    content = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": code_version(),
        "machine": machine(),
        "packages": package_versions(),
        "size": dataclasses.asdict(size),
        "made": None if made is None else dataclasses.asdict(made),
        "rows": [dataclasses.asdict(row) for row in rows],
    }
    path.write_text(json.dumps(content, indent=2) + "\n")


def _size(options: argparse.Namespace) -> Size:
    asked = {name: getattr(options, name) for name in ("variants", "studies", "epochs")}
    return dataclasses.replace(
        QUICK if options.quick else Size(), **{name: number for name, number in asked.items() if number is not None}
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description="A large record, read.")
    parser.add_argument("--variants", type=int, help=f"in all, {Size.variants:,} by default, each with two seeds")
    parser.add_argument("--studies", type=int, help="over which the variants are spread, 1 by default")
    parser.add_argument("--epochs", type=int, help=f"of a trial, {Size.epochs} by default")
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what is measured, by default all"
    )
    parser.add_argument("--folder", type=Path, help="where the record lies or is made, a temporary one by default")
    parser.add_argument("--quick", action="store_true", help="a test of seconds")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/store.json"))
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
