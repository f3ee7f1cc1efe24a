"""The Ray that a sweep runs on: started here or joined, private, and fit for its trials on every node."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from experiments.data.config import DataConfig
from experiments.nodes import check_nodes
from experiments.reaper import reaped

WORKER_ENVIRONMENT = {
    # Waiting threads sleep: where they spin and another process needs the core, a step takes many times as long.
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""Of the processes that train; read when torch is loaded, so that a trial's setup would be too late."""


@dataclass(frozen=True)
class RayConfig:
    """Where Ray runs. Raises ValueError for a token file that is not there or that others may read."""

    address: str | None = None
    """Address of a running cluster, or "auto"; None starts Ray on this machine."""
    storage: str | None = None
    """Folder that all nodes of a cluster reach, for trials' weights and checkpoints; None: on one node."""
    token_file: str | None = None
    """File with the cluster's authentication token; None: as Ray itself finds it, if it wants one."""

    def __post_init__(self) -> None:
        if self.token_file is None:
            return
        file = Path(self.token_file).expanduser()
        if not file.is_file():
            raise ValueError(
                f"ray.token_file must be a file, got {self.token_file}; ray get-auth-token --generate makes one"
            )
        if file.stat().st_mode & 0o077:
            raise ValueError(
                f"ray.token_file must be readable by its owner alone, got {self.token_file} with mode "
                f"{file.stat().st_mode & 0o777:o}; chmod 600 it"
            )

    @property
    def authentication(self) -> dict[str, str]:
        """What Ray reads of it from the environment."""
        if self.token_file is None:
            return {}
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(Path(self.token_file).expanduser().resolve())}


@contextlib.contextmanager
def connected(config: RayConfig) -> Iterator[None]:
    """With Ray started here or joined; it is left as it was found, so that one session can serve many sweeps."""
    if ray.is_initialized():
        yield
        return
    started_here = contextlib.nullcontext() if config.address else reaped()
    with started_here, environment(config.authentication):
        _init(config)
        try:
            _require_shared_folder(config)
            yield
        finally:
            ray.shutdown()


def require_able_nodes(data: DataConfig, image_size: int, fingerprint: str) -> None:
    """Have each node of a cluster of several open the data with this code; raises ValueError naming one that cannot."""
    if len(alive_nodes()) > 1:
        check_nodes(alive_nodes(), data, image_size, fingerprint)


def alive_nodes() -> list[dict[str, Any]]:
    """What Ray tells of the nodes that live."""
    return [node for node in ray.nodes() if node["Alive"]]


@contextlib.contextmanager
def environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """With these variables, where the user has not set them."""
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def _init(config: RayConfig) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if config.address:
        try:
            ray.init(address=config.address, runtime_env={"env_vars": WORKER_ENVIRONMENT}, **quiet)
        except (ConnectionError, RuntimeError, ray.exceptions.AuthenticationError) as error:
            raise ValueError(
                f"ray.address must be that of a running cluster, got {config.address}: {_first_line(error)}; see that "
                f"`ray status` there answers, and that ray.token_file is the cluster's"
            ) from error
        return
    # Workers inherit the environment of a Ray that starts here, without the two seconds that a runtime_env takes.
    with environment(WORKER_ENVIRONMENT), _private_files():
        ray.init(include_dashboard=False, **quiet)


@contextlib.contextmanager
def _private_files() -> Iterator[None]:
    """Whatever is created, Ray's session folder and token among it, nobody else may read."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _require_shared_folder(config: RayConfig) -> None:
    nodes = len(alive_nodes())
    if nodes > 1 and config.storage is None:
        raise ValueError(
            f"a cluster of several nodes needs a folder that all of them reach, got {nodes} nodes and no ray.storage; "
            f"write ray.storage=FOLDER"
        )
