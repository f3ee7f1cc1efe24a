"""The report on a study: python -m analysis.report study=NAME."""

from __future__ import annotations

import csv
import gc
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import hydra
import pandas as pd
from omegaconf import DictConfig
from rich.console import Console

from analysis.curve_plot import drawn_trials
from analysis.files import folder_below, write_whole
from analysis.frame import variant_frame
from analysis.page_html import report_html
from analysis.picture import front_png
from analysis.results import Results, read_results, with_epochs
from analysis.tables import front_table
from analysis.trial_table import trial_table
from db import StorageConfig, Store
from db.collector import collector_paused
from space.cli import is_out_of_room, run_entry_point, to_typed


@dataclass(frozen=True)
class ReportConfig:
    """What the command line says."""

    storage: StorageConfig
    study: str
    out: str | None = None


@dataclass(frozen=True)
class ReportFiles:
    """The files of a report."""

    html: Path
    """The page; opens in a browser without a network."""
    variants: Path
    """CSV, a row a variant."""
    trials: Path
    """CSV, a row a trial."""
    front: Path
    """PNG of the fronts."""


def default_folder(study_name: str) -> Path:
    """Where a study's report goes if nobody says otherwise; raises ValueError if a link leads out of `runs`."""
    return folder_below(Path("runs"), study_name, "report")


def write_report(store: Store, study_name: str, out: Path | None = None) -> ReportFiles:
    """Write the page, both tables and the picture into a folder, made if need be; old files are replaced.

    A study without a complete trial gets a page that says so.
    Raises ValueError for a study that the store does not have and for a folder that cannot be written, OSError for a
    full disk.
    """
    results, frame = read_report(store, study_name)
    return write_files(results, frame, default_folder(study_name) if out is None else out)


def read_report(store: Store, study_name: str) -> tuple[Results, pd.DataFrame]:
    """What a report tells: the study's rows, with the epochs of the curves that are drawn, and its variant frame."""
    with collector_paused():
        results = read_results(store, study_name)
        frame = variant_frame(results.study, results.trials, results.architectures)
    return with_epochs(store, results, drawn_trials(results, frame)), frame


def write_files(results: Results, frame: pd.DataFrame, folder: Path) -> ReportFiles:
    """Write the report of results and their variant frame; errors as of `write_report`."""
    files = ReportFiles(folder / "report.html", folder / "variants.csv", folder / "trials.csv", folder / "front.png")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(files.html, report_html(results, frame).encode())
        write_whole(files.variants, _csv(frame.columns, _rows(frame)))
        write_whole(files.front, front_png(frame, f"{results.study.name}: accuracy against cost"))
        trials = trial_table(results.study, results.trials, results.architectures)
        write_whole(files.trials, _csv(trials.columns, trials.rows))
    except OSError as error:
        if is_out_of_room(error):
            raise  # nothing is wrong with the folder
        raise ValueError(
            f"the report's folder must be writable, got {folder} ({error.strerror}); choose another with out=FOLDER"
        ) from error
    return files


def _rows(frame: pd.DataFrame) -> Iterator[Sequence[Any]]:
    """The frame's rows, None where a number is not known."""
    columns = [frame[name].astype(object).where(frame[name].notna(), None).tolist() for name in frame]
    return zip(*columns, strict=True)


def _csv(columns: Iterable[str], rows: Iterable[Sequence[Any]]) -> Callable[[BinaryIO], None]:
    """What writes a table into a file, None as an empty cell: pandas would take longer over very many rows."""

    def write(file: BinaryIO) -> None:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
        text.detach()  # the file is its owner's to close

    return write


@hydra.main(version_base=None, config_path="conf", config_name="report")
def main(cfg: DictConfig) -> None:
    """Write the report and print the front."""
    config = to_typed(cfg, ReportConfig)
    console = Console()
    with Store.open(config.storage.url, create=False) as store:
        results, frame = read_report(store, config.study)
    gc.freeze()  # all of it is needed to the end: the collector need not look at it again
    files = write_files(results, frame, default_folder(config.study) if config.out is None else Path(config.out))
    console.print(front_table(frame, results.study.objectives))
    for path in (files.html, files.variants, files.trials, files.front):
        console.print(str(path), markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    run_entry_point(main)
