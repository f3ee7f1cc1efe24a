"""What a record holds: python -m analysis.studies [study=NAME]."""

from __future__ import annotations

from dataclasses import dataclass

import hydra
from omegaconf import DictConfig
from rich.console import Console

from analysis.study_tables import endings_table, studies_table, study_table
from db import StorageConfig, Store
from space.cli import run_entry_point, to_typed


@dataclass(frozen=True)
class StudiesConfig:
    """What the command line says."""

    storage: StorageConfig
    study: str | None = None


@hydra.main(version_base=None, config_path="conf", config_name="studies")
def main(cfg: DictConfig) -> None:
    """Entry point."""
    tell(to_typed(cfg, StudiesConfig), Console())


def tell(config: StudiesConfig, console: Console) -> None:
    """Print the studies, or one in full. Raises ValueError if there is no such record or study."""
    with Store.open(config.storage.url, create=False) as store:
        if config.study is None:
            summaries = store.summaries()
            count = f"{len(summaries):,} stud{'y' if len(summaries) == 1 else 'ies'}"
            console.print(f"{count} in {store.url}", markup=False, highlight=False, soft_wrap=True)
            if summaries:
                console.print(studies_table(summaries))
            return
        [summary], endings = store.summaries(config.study), store.endings(config.study)
    console.print(study_table(summary))
    if endings:
        console.print(endings_table(endings))


if __name__ == "__main__":
    run_entry_point(main)
