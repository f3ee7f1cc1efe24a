"""Serve optuna-dashboard over the record, on this machine alone: python -m experiments.dashboard."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import hydra
import optuna_dashboard
from omegaconf import DictConfig
from rich.console import Console

from db import StorageConfig, Store, check_database
from experiments.local_server import is_loopback, open_server
from experiments.optuna_tables import open_optuna
from space.cli import run_entry_point, to_typed


@dataclass(frozen=True)
class DashboardConfig:
    """What the command line says. Raises ValueError for a port that is none, and for a host that others reach."""

    storage: StorageConfig
    host: str = "127.0.0.1"
    port: int = 8080
    allow_remote: bool = False
    """Whether `host` may be an address that other machines reach."""

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise ValueError(f"port must be between 1 and 65535, got {self.port}; write for example port=8080")
        if not self.host:
            raise ValueError("host must name an address, got an empty text; write for example host=127.0.0.1")
        if not (self.allow_remote or is_loopback(self.host)):
            raise ValueError(
                f"host must be a loopback address, for whoever reaches the page may delete studies, got {self.host!r}; "
                f"leave it out and use ssh -L {self.port}:127.0.0.1:{self.port}, or add allow_remote=true"
            )


@hydra.main(version_base=None, config_path="conf", config_name="dashboard")
def main(cfg: DictConfig) -> None:
    """Entry point."""
    serve(to_typed(cfg, DashboardConfig), Console(soft_wrap=True))


def serve(config: DashboardConfig, console: Console) -> None:
    """Serve until Ctrl-C. Raises ValueError if there is no record or the port is taken."""
    check_database(config.storage.url)
    with Store.open(config.storage.url, create=False) as store:
        names = [study.name for study in store.studies()]
    application = optuna_dashboard.wsgi(open_optuna(config.storage.url))
    try:
        server = open_server(application, config.host, config.port)
    except OSError as error:
        raise ValueError(
            f"host and port must be this machine's and free, got {config.host}:{config.port} ({error.strerror}); "
            f"choose another with port="
        ) from error
    shown = f"[{config.host}]" if ":" in config.host else config.host
    with closing(server.socket):
        console.print(f"{len(names)} studies: {', '.join(names)}", highlight=False, markup=False)
        console.print(f"http://{shown}:{config.port}/dashboard/  (Ctrl-C ends it)", highlight=False, markup=False)
        server.serve_forever()


if __name__ == "__main__":
    run_entry_point(main)
