"""Serve optuna-dashboard over the record, on this machine alone: python -m experiments.dashboard."""

from __future__ import annotations

from dataclasses import dataclass

import hydra
import optuna
import optuna_dashboard
from omegaconf import DictConfig
from rich.console import Console

from db import StorageConfig, Store, check_database
from experiments.optuna_view import open_optuna
from space.cli import run_entry_point, to_typed


@dataclass(frozen=True)
class DashboardConfig:
    """What the command line says. Raises ValueError for a port that is none."""

    storage: StorageConfig
    host: str = "127.0.0.1"
    port: int = 8080

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise ValueError(f"port must be between 1 and 65535, got {self.port}; write for example port=8080")


@hydra.main(version_base=None, config_path="conf", config_name="dashboard")
def main(cfg: DictConfig) -> None:
    """Entry point."""
    serve(to_typed(cfg, DashboardConfig), Console(soft_wrap=True))


def serve(config: DashboardConfig, console: Console) -> None:
    """Serve until Ctrl-C. Raises ValueError if there is no record or the port is taken."""
    check_database(config.storage.url)
    with Store.open(config.storage.url, create=False) as store:
        names = [study.name for study in store.studies()]
    storage: optuna.storages.RDBStorage = open_optuna(config.storage.url)
    console.print(f"{len(names)} studies: {', '.join(names)}", highlight=False)
    console.print(f"http://{config.host}:{config.port}/dashboard/  (Ctrl-C ends it)", highlight=False)
    try:
        optuna_dashboard.run_server(storage, host=config.host, port=config.port)
    except OSError as error:
        raise ValueError(
            f"the port must be free, got {config.host}:{config.port} ({error.strerror}); choose another with port="
        ) from error


if __name__ == "__main__":
    run_entry_point(main)
