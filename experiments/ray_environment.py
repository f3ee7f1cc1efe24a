"""What Ray and the processes that it starts are told by the environment and by the words of its init."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ray import _raylet
from ray._private import worker

QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
"""Ray's own lines do not mix with ours."""
WORKER_ENVIRONMENT = {
    # Waiting threads sleep: where they spin and another process needs the core, a step takes many times as long.
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""Of the processes that train; read when torch is loaded, so that a trial's setup would be too late."""


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


@contextlib.contextmanager
def without_messages() -> Iterator[None]:
    """Without what Ray prints of each death of a process, whatever its `log_to_driver`; the record has the reason."""
    before = worker.print_to_stdstream
    worker.print_to_stdstream = lambda *args, **named: None
    try:
        yield
    finally:
        worker.print_to_stdstream = before


@contextlib.contextmanager
def authenticated_by(file: Path) -> Iterator[None]:
    """With Ray authenticating by the token in a file, here and in the processes that it starts."""
    own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(file), "RAY_AUTH_TOKEN": None}
    before = {name: os.environ.get(name) for name in own}
    _set(own)
    try:
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    # Ray reads them when it is imported, and never again unless it is told to.
    _raylet.Config.initialize("")  # type: ignore[attr-defined]
    _raylet.AuthenticationTokenLoader.instance().reset_cache()  # type: ignore[attr-defined]
