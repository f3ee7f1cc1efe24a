"""A Ray of our own on this machine, that nobody else can talk to or look into."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import ray

from experiments.ray_environment import QUIET, WORKER_ENVIRONMENT, authenticated_by, environment
from experiments.reaper import reaped

LONGEST_FOLDER = 30
"""Of characters, for the folder in which a session's lies: a path of Ray's sockets below it may have 107."""


@contextlib.contextmanager
def started() -> Iterator[None]:
    """With Ray, whose token and session folder only this user can read; no port of it answers without the token."""
    with _private_folder() as folder, reaped(folder), authenticated_by(_new_token(folder)):
        _start(folder / "s")
        _close(folder)
        yield


def _new_token(folder: Path) -> Path:
    file = folder / "token"
    with _private_files():
        file.write_text(secrets.token_hex(32))
    return file


def _start(folder: Path) -> None:
    # Workers inherit the environment of a Ray that starts here, without the two seconds that a runtime_env takes.
    with environment(WORKER_ENVIRONMENT), _private_files():
        ray.init(
            address="local",  # whatever RAY_ADDRESS says
            include_dashboard=False,
            _temp_dir=str(folder),
            **QUIET,
        )


@contextlib.contextmanager
def _private_folder() -> Iterator[Path]:
    """A new folder of mode 0700, not in /tmp/ray, which is everybody's; it is gone in the end."""
    usual = tempfile.gettempdir()
    parent = usual if len(usual) <= LONGEST_FOLDER else "/tmp"
    with tempfile.TemporaryDirectory(prefix="ray-", dir=parent, ignore_cleanup_errors=True) as name:
        yield Path(name)


@contextlib.contextmanager
def _private_files() -> Iterator[None]:
    """Whatever is created, by the processes that are started too, nobody else may read."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _close(folder: Path) -> None:
    """Take back the mode 0777 that Ray gives its folders, whatever the umask; the outermost kept them shut."""
    for place, _, _ in os.walk(folder):
        os.chmod(place, 0o700)
