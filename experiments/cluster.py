"""The Ray that a sweep runs on: started here or joined, and fit for its trials on every node."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from experiments.data.config import DataConfig
from experiments.nodes import check_nodes
from experiments.ray_environment import QUIET, WORKER_ENVIRONMENT, authenticated_by, environment, without_messages
from experiments.ray_session import started

PATIENCE_S = 5
"""For a cluster's address to answer. Ray itself would wait for most of a minute where nobody listens."""


@dataclass(frozen=True)
class RayConfig:
    """Where Ray runs. Raises ValueError for an address of another form, and for a token file that others may read."""

    address: str | None = None
    """HOST:PORT of a running cluster, or "auto" for that of this machine; None starts Ray on this machine."""
    storage: str | None = None
    """Folder that all nodes of a cluster reach, for trials' weights and checkpoints; None: on one node."""
    token_file: str | None = None
    """File with the cluster's authentication token; None: as Ray itself finds it, if it wants one."""

    def __post_init__(self) -> None:
        if self.address not in (None, "auto") and self.place is None:
            raise ValueError(
                f"ray.address must be HOST:PORT or auto, got {self.address}; write for example 10.0.0.1:6379"
            )
        if self.token_file is not None:
            _require_private(self.token_file, Path(self.token_file).expanduser())

    @property
    def place(self) -> tuple[str, int] | None:
        """Host and port, of an address that tells them."""
        host, _, port = (self.address or "").rpartition(":")
        is_place = host and not host.endswith("/") and "//" not in host and port.isdecimal() and int(port) < 2**16
        return (host.strip("[]"), int(port)) if is_place else None


def _require_private(shown: str, file: Path) -> None:
    if not file.is_file():
        raise ValueError(f"ray.token_file must be a file, got {shown}; write the file with the cluster's token")
    if file.stat().st_mode & 0o077:
        raise ValueError(
            f"ray.token_file must be readable by its owner alone, got {shown} with mode "
            f"{file.stat().st_mode & 0o777:o}; chmod 600 it"
        )
    if not os.access(file, os.R_OK) or not file.read_text(errors="replace").strip():
        raise ValueError(f"ray.token_file must hold a token that this user may read, got {shown}; copy the cluster's")


@contextlib.contextmanager
def connected(config: RayConfig) -> Iterator[None]:
    """With Ray started here or joined; it is left as it was found, so that one session can serve many sweeps."""
    if ray.is_initialized():
        yield
        return
    with without_messages(), _joined(config) if config.address else started():
        try:
            _require_shared_folder(config)
            yield
        finally:
            ray.shutdown()


@contextlib.contextmanager
def _joined(config: RayConfig) -> Iterator[None]:
    """With a cluster that others may use too. Raises ValueError if it does not answer or does not let us in."""
    if config.place is not None:
        _require_listener(config)
    own = None if config.token_file is None else Path(config.token_file).expanduser().resolve()
    with contextlib.nullcontext() if own is None else authenticated_by(own):
        try:
            with environment({"RAY_gcs_server_port_wait_time_s": "2"}), _without_stderr():
                ray.init(address=config.address, runtime_env={"env_vars": WORKER_ENVIRONMENT}, **QUIET)
        except (ConnectionError, RuntimeError, ray.exceptions.AuthenticationError) as error:
            raise _refusal(config, error) from error
        yield


def _require_listener(config: RayConfig) -> None:
    assert config.place is not None
    try:
        socket.create_connection(config.place, timeout=PATIENCE_S).close()
    except OSError as error:
        raise ValueError(
            f"ray.address must be that of a running cluster, got {config.address}: {error}; see that `ray status` "
            f"there answers"
        ) from error


def _refusal(config: RayConfig, error: Exception) -> ValueError:
    told = f"{error} {error.__cause__}"
    if "InvalidAuthToken" not in told and not isinstance(error, ray.exceptions.AuthenticationError):
        return ValueError(
            f"ray.address must be that of a running cluster, got {config.address}: {_first_line(error)}; see that "
            f"`ray status` there answers, and that Ray's version is the same here"
        )
    if config.token_file is None:
        return ValueError(
            f"the cluster {config.address} wants its token, got no ray.token_file; write ray.token_file=FILE"
        )
    return ValueError(
        f"ray.token_file must be that of the cluster {config.address}, got {config.token_file}, whose token it does "
        f"not accept; copy the token from the cluster's head"
    )


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Without what Ray's C++ writes there on its way to an exception that says the same."""
    sys.stderr.flush()
    before = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def require_able_nodes(nodes: Sequence[dict[str, Any]], data: DataConfig, image_size: int, fingerprint: str) -> None:
    """Have these nodes of a cluster open the data with this code; raises ValueError naming one that cannot.

    A cluster of one node is this machine, which has opened them.
    """
    if len(alive_nodes()) > 1:
        check_nodes(nodes, data, image_size, fingerprint)


def alive_nodes() -> list[dict[str, Any]]:
    """What Ray tells of the nodes that live."""
    return [node for node in ray.nodes() if node["Alive"]]


def _require_shared_folder(config: RayConfig) -> None:
    nodes = len(alive_nodes())
    if nodes > 1 and config.storage is None:
        raise ValueError(
            f"a cluster of several nodes needs a folder that all of them reach, got {nodes} nodes and no ray.storage; "
            f"write ray.storage=FOLDER"
        )
