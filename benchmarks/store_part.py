"""What a user does with a large record, one thing at a time, each in a process of its own."""

from __future__ import annotations

import argparse
import dataclasses
import json
import resource
import runpy
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Asked:
    """Of which record, and which study of it."""

    url: str
    study: str
    variants: int
    seeds: int
    epochs: int
    folder: Path
    """For what is written."""


def open_store(asked: Asked) -> None:
    """Open the record, its schema looked at."""
    from db import Store

    Store.open(asked.url).close()


def resume(asked: Asked) -> None:
    """Check the record and start the driver of a study in which nothing is left to train."""
    from benchmarks.big_record import OBJECTIVES, Settings
    from db import check_database
    from experiments.candidates import Budget, Candidates
    from experiments.objectives import directions, read_objectives
    from experiments.suggest import SearchConfig, make_suggester

    check_database(asked.url)
    candidates = Candidates(Settings(asked.epochs).space, Budget())
    suggester = make_suggester(SearchConfig("random"), candidates, directions(read_objectives(OBJECTIVES)), 0)
    with _driver(asked, candidates, suggester) as (driver, _):
        if (job := driver.next_job()) is not None:
            raise RuntimeError(f"a finished study has nothing to train, but the driver gave out {job}")


def describe(asked: Asked) -> None:
    """List the studies."""
    _run("analysis.studies", f"storage.url={asked.url}")


def describe_study(asked: Asked) -> None:
    """Describe one study."""
    _run("analysis.studies", f"storage.url={asked.url}", f"study={asked.study}")


def report(asked: Asked) -> None:
    """Write a study's report: page, tables and picture."""
    _run("analysis.report", f"storage.url={asked.url}", f"study={asked.study}", f"out={asked.folder / 'report'}")


def results(asked: Asked) -> str:
    """Write the results of 1,000 trials with all their epochs, each as it comes; tells their rate.

    A thread fills Optuna's tables meanwhile, as in a sweep, and afterwards as far as it was behind.
    """
    from benchmarks.big_record import OBJECTIVES, Settings
    from experiments.candidates import Budget, Candidates
    from experiments.objectives import directions, read_objectives
    from experiments.suggest import SearchConfig, make_suggester

    settings, objectives = Settings(asked.epochs), read_objectives(OBJECTIVES)
    candidates = Candidates(settings.space, Budget())
    suggester = make_suggester(SearchConfig("random"), candidates, directions(objectives), 1)
    fresh = dataclasses.replace(asked, study="results", seeds=1, variants=RESULTS)
    with _driver(fresh, candidates, suggester, _optuna_view(fresh)) as (driver, recorder):
        start = time.perf_counter()
        for _ in range(RESULTS):
            job = driver.next_job()
            assert job is not None
            for epoch in range(1, asked.epochs + 1):
                driver.take_epoch(job.trial_id, {**METRICS, "epoch": epoch})
            driver.take_end(job.trial_id)
        recorder.flush()
        seconds = time.perf_counter() - start
    behind = time.perf_counter() - start - seconds
    return f"{RESULTS / seconds:.0f} results a second, Optuna's tables {behind:.1f} s behind at the end"


PARTS: dict[str, Callable[[Asked], str | None]] = {
    "open": open_store,
    "resume": resume,
    "describe": describe,
    "describe one study": describe_study,
    "report": report,
    "1,000 results": results,
}
"""What is measured, by what the table calls it."""


RESULTS = 1_000
METRICS = {"train_loss": 1.0, "val_loss": 1.0, "val_accuracy": 0.5, "learning_rate": 1e-3, "seconds": 1.0}


class Silent:
    """A listener that keeps nothing, and a view that shows nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *values, **named: None


def _optuna_view(asked: Asked) -> Callable[[], Any]:
    from benchmarks.big_record import OBJECTIVES, Settings
    from experiments.objectives import read_objectives
    from experiments.optuna_tables import OptunaTables
    from experiments.optuna_view import OptunaView

    space, objectives = Settings(asked.epochs).space, read_objectives(OBJECTIVES)
    return lambda: OptunaView(lambda: OptunaTables(asked.url, asked.study, space, objectives))


@contextmanager
def _driver(
    asked: Asked, candidates: Any, suggester: Any, make_view: Callable[[], Any] = Silent
) -> Iterator[tuple[Any, Any]]:
    """The driver of a study, made unless it is there, and its recorder; in the end the view is complete."""
    from benchmarks.big_record import OBJECTIVES, Settings
    from db import LeadRecord, Recorder, Spool, Store
    from experiments.candidates import architecture_record
    from experiments.checkpoints import Checkpoints
    from experiments.driver import Driver
    from experiments.objectives import read_objectives

    settings, objectives = Settings(asked.epochs), read_objectives(OBJECTIVES)
    with Store.open(asked.url) as store:
        view = make_view()
        store.add_architectures([architecture_record(settings.space.base)])
        store.add_study(settings.study(asked.study))
        lead = store.take_lead(LeadRecord(asked.study, "benchmark", "here", 1), instead_of=store.lead(asked.study))
        recorder = Recorder(store, lead, Spool(asked.folder, store), patience_s=10)
        driver = Driver(
            store,
            recorder,
            settings.conditions(asked.study),
            candidates,
            suggester,
            view,
            objectives,
            Silent(),
            checkpoints=Checkpoints(asked.folder / "checkpoints"),
            weights=asked.folder / "weights",
            seeds=asked.seeds,
            variants=asked.variants,
        )
        yield driver, recorder
        view.close(600.0)


def _run(module: str, *words: str) -> None:
    """A command of the project, as the user types it."""
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _peak_mib() -> float:
    """The most memory that this process had. Linux counts in ru_maxrss what the process was started from, too."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(arguments: Sequence[str] | None = None) -> None:
    """Do a part and write what it took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store_part", description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("asked", help="the fields of Asked, as JSON")
    parser.add_argument("out", type=Path, help="JSON file for CPU seconds and peak memory")
    options = parser.parse_args(arguments)
    words = json.loads(options.asked)
    told = PARTS[options.part](Asked(**{**words, "folder": Path(words["folder"])}))
    taken = {"cpu_seconds": time.process_time(), "peak_mib": _peak_mib(), "told": told or ""}
    options.out.write_text(json.dumps(taken))


if __name__ == "__main__":
    main()
