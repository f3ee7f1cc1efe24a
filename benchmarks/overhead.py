"""What a trial that does nothing costs: the platform beside a plain Ray Tune function and plain Optuna.

python -m benchmarks.overhead [WORDS OF A SWEEP] [--trials 200] [--rounds 3] [--out FILE]
python -m benchmarks.overhead --memory 10000        # the driver's memory over so many trials, as a curve
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.memory_curve import draw, growth_mib, memory_table
from benchmarks.moments import FILE
from benchmarks.out import require_writable

PLATFORM, RAY, OPTUNA = "platform", "plain Ray Tune", "plain Optuna"
MODULES = {PLATFORM: "overhead_platform", RAY: "overhead_ray", OPTUNA: "overhead_optuna"}
WINDOW = 10
"""Trials over which one pace is taken: those at once end together, so that single gaps tell nothing."""


@dataclass(frozen=True)
class Overhead:
    """One run of a side; seconds since its process was started, or a trial."""

    ray_s: float | None
    """Until Ray was ready; None for a side without Ray."""
    start_s: float
    """Until the first trial was begun."""
    result_s: float
    """Until the first trial had ended."""
    trial_s: float
    """A trial once running: the median pace over the middle half of the trials."""
    trial_cpu_s: float
    """Processor time of the driver for such a trial."""


def measure(side: str, trials: int, words: list[str], folder: Path) -> dict[str, Any]:
    """The moments that a fresh process of this side tells; raises RuntimeError, with its last words, if it fails."""
    command = [sys.executable, "-m", f"benchmarks.{MODULES[side]}", str(folder), str(trials), *words]
    # The modules are compiled once, by the first round: also where this Python was told to keep no bytecode.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    begun = time.time()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise RuntimeError(f"{side} failed with exit code {done.returncode}: {done.stderr.strip()[-2000:]}")
    told: dict[str, Any] = json.loads((folder / FILE).read_text())
    return told | {"begun": begun}


def overhead(told: dict[str, Any]) -> Overhead:
    """What the moments of a run come to."""
    begun, ready, ends = told["begun"], told["ray_ready"], told["ends"]
    return Overhead(
        ray_s=None if ready is None else ready - begun,
        start_s=told["first_start"] - begun,
        result_s=ends[0] - begun,
        trial_s=pace(ends),
        trial_cpu_s=pace(told["cpu"]),
    )


def pace(clock: list[float]) -> float:
    """Seconds a trial over the middle half of the trials: the median over windows."""
    window = min(WINDOW, len(clock) // 4)
    middle = range(len(clock) // 4, len(clock) - len(clock) // 4 - window)
    return statistics.median((clock[index + window] - clock[index]) / window for index in middle)


def compare(asked: argparse.Namespace, console: Console) -> dict[str, list[Overhead]]:
    """Every side, some rounds in turn, so that a busy machine slows all."""
    trials = {PLATFORM: asked.trials, RAY: asked.ray_trials, OPTUNA: asked.trials}
    results: dict[str, list[Overhead]] = {side: [] for side in MODULES}
    for _ in range(asked.rounds):
        for side in MODULES:
            with tempfile.TemporaryDirectory(prefix="overhead-") as name:
                told = measure(side, trials[side], asked.words if side == PLATFORM else [], Path(name))
            results[side].append(overhead(told))
            console.print(f"  {side}: {results[side][-1].trial_s:.3f} s a trial", highlight=False)
    return results


def best(runs: list[Overhead]) -> Overhead:
    """The least of each number: what else the machine did can only have added to it."""
    ready = [run.ray_s for run in runs if run.ray_s is not None]
    names = ("start_s", "result_s", "trial_s", "trial_cpu_s")
    return Overhead(min(ready, default=None), **{name: min(getattr(run, name) for run in runs) for name in names})


def overhead_table(results: dict[str, list[Overhead]]) -> Table:
    """A row a side: until Ray was ready, the first trial begun and ended; then a trial, and the driver's CPU for it."""
    title = f"a trial that does nothing, least of {len(results[PLATFORM])} run(s)"
    table = Table("side", "Ray s", "1st trial s", "1st result s", "s/trial", "CPU s/trial", "ratio", title=title)
    table.columns[0].no_wrap = True
    own = best(results[PLATFORM]).trial_s
    for side, runs in results.items():
        found = best(runs)
        ready = "" if found.ray_s is None else f"{found.ray_s:.1f}"
        starts = (ready, f"{found.start_s:.1f}", f"{found.result_s:.1f}")
        table.add_row(side, *starts, f"{found.trial_s:.4f}", f"{found.trial_cpu_s:.4f}", f"{found.trial_s / own:.2f}x")
    return table


def follow_memory(asked: argparse.Namespace, console: Console) -> dict[str, Any]:
    """One sweep of many trials; prints its memory and draws the curve beside the file of numbers."""
    told_before = f"{asked.memory:,} trials that do nothing, some {asked.memory / 1200:.0f} minutes"
    with console.status(told_before), tempfile.TemporaryDirectory(prefix="overhead-") as name:
        told = measure(PLATFORM, asked.memory, asked.words, Path(name))
    picture = asked.out.with_suffix(".png")
    draw(told["memory"], picture)
    console.print(memory_table(told["memory"]))
    ran, seconds = len(told["ends"]), told["ends"][-1] - told["ends"][0]
    console.print(
        f"{ran} trials were run in {seconds:.0f} s, {growth_mib(told['memory']):+.1f} MiB for 1,000 more trials"
    )
    console.print(f"drawn to {picture}", highlight=False)
    return told


def arguments() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200, help="of a run of the platform and of Optuna, at least 8")
    parser.add_argument("--ray-trials", type=int, default=16, help="of plain Ray Tune, each a new process; at least 8")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side, in turn")
    parser.add_argument("--memory", type=int, help="run so many trials of the platform alone and follow its memory")
    parser.add_argument(
        "words", nargs="*", help="more of experiments.sweep's command line, as resources.max_concurrent=1"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/overhead.json"))
    asked = parser.parse_args()
    if min(asked.trials, asked.ray_trials, asked.memory or 8) < 8 or asked.rounds < 1:
        parser.error("a pace needs at least 8 trials and 1 round; leave the words out for the defaults")
    return asked


def conditions() -> dict[str, Any]:
    """What the numbers depend on."""
    from experiments.provenance import code_version, machine, package_versions  # torch comes with it

    date = datetime.now(UTC).isoformat(timespec="seconds")
    return {"date": date, "code": code_version(), "machine": machine(), "packages": package_versions()}


def main() -> None:
    """Measure, print and write."""
    asked, console = arguments(), Console()
    require_writable(asked.out)
    found: dict[str, Any] = {}
    if asked.memory:
        found["memory"] = follow_memory(asked, console)
    else:
        results = compare(asked, console)
        console.print(overhead_table(results))
        found["sides"] = {side: [dataclasses.asdict(run) for run in runs] for side, runs in results.items()}
    asked.out.write_text(json.dumps(conditions() | found, indent=2) + "\n")
    console.print(f"written to {asked.out}", highlight=False)


if __name__ == "__main__":
    main()
