"""The report on a study: python -m analysis.report study=NAME."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import hydra
import pandas as pd
from omegaconf import DictConfig
from rich.console import Console

from analysis.files import folder_below, write_whole
from analysis.frame import trial_frame, variant_frame
from analysis.page_html import report_html
from analysis.picture import front_png
from analysis.results import read_results
from analysis.tables import front_table
from db import StorageConfig, Store
from space.cli import run_entry_point, to_typed


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
    Raises ValueError for a study that the store does not have and for a folder that cannot be written.
    """
    results = read_results(store, study_name)
    frame = variant_frame(results.study, results.trials, results.architectures)
    trials = trial_frame(results.study, results.trials, results.architectures)
    folder = default_folder(study_name) if out is None else out
    files = ReportFiles(folder / "report.html", folder / "variants.csv", folder / "trials.csv", folder / "front.png")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(files.html, report_html(results, frame).encode())
        write_whole(files.variants, _csv(frame))
        write_whole(files.trials, _csv(trials))
        write_whole(files.front, front_png(frame, f"{study_name}: accuracy against cost"))
    except OSError as error:
        raise ValueError(
            f"the report's folder must be writable, got {folder} ({error.strerror}); choose another with out=FOLDER"
        ) from error
    return files


def _csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


@hydra.main(version_base=None, config_path="conf", config_name="report")
def main(cfg: DictConfig) -> None:
    """Write the report and print the front."""
    config = to_typed(cfg, ReportConfig)
    console = Console()
    with Store.open(config.storage.url, create=False) as store:
        files = write_report(store, config.study, None if config.out is None else Path(config.out))
        results = read_results(store, config.study)
    frame = variant_frame(results.study, results.trials, results.architectures)
    console.print(front_table(frame, results.study.objectives))
    for path in (files.html, files.variants, files.trials, files.front):
        console.print(str(path), markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    run_entry_point(main)
