"""A small process that outlives a killed sweep for some seconds, and ends what Ray left of it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from uuid import uuid4

import psutil

VARIABLE = "TRANSXNET_SWEEP"
"""In the environment of every process that a sweep's own Ray starts, and that those start."""
PATIENCE_S = 10.0
"""Ray ends most of its processes by itself; its agents alone take a minute."""


@contextlib.contextmanager
def reaped() -> Iterator[dict[str, str]]:
    """Give the environment in which Ray is to be started; what has it ends with this process, however that ends."""
    mark = uuid4().hex
    reaper = subprocess.Popen(
        [sys.executable, "-m", "experiments.reaper", mark],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C is not for it
    )
    try:
        yield {VARIABLE: mark}
    finally:
        with contextlib.suppress(OSError):
            reaper.communicate(b"ended by itself", timeout=PATIENCE_S)


def marked(mark: str) -> Iterator[psutil.Process]:
    """The processes with this mark."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # it is gone, or another user's
            if process.environ().get(VARIABLE) == mark:
                yield process


def main(mark: str) -> None:
    """Wait for the sweep's end, which closes the pipe; if it did not say goodbye, end what is left."""
    if sys.stdin.buffer.read():
        return
    time.sleep(PATIENCE_S)
    for process in marked(mark):
        with contextlib.suppress(psutil.Error):
            process.kill()


if __name__ == "__main__":
    main(sys.argv[1])
