"""A small process that outlives a killed sweep for some seconds, and ends what Ray left of it."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

LOOK_S = 2.0
"""Between two looks at what the sweep has started."""
PATIENCE_S = 10.0
"""Ray ends most of its processes by itself; its agents alone take a minute."""


@contextlib.contextmanager
def reaped(folder: Path) -> Iterator[None]:
    """See to it that all processes which this one starts, and their folder, are soon gone after it, even if killed."""
    reaper = subprocess.Popen(
        [sys.executable, "-m", "experiments.reaper", str(os.getpid()), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C is not for it
    )
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            reaper.communicate(b"ended by itself", timeout=PATIENCE_S)


def main(sweep: psutil.Process, folder: Path) -> None:
    """Remember what the sweep starts until its end, which closes the pipe; then end it, unless the sweep said goodbye.

    A process is known by its number and when it began: another one that gets the number is left alone.
    """
    started: set[psutil.Process] = set()
    while not select.select([sys.stdin], [], [], LOOK_S)[0]:
        with contextlib.suppress(psutil.Error):  # it has just died
            started = {process for process in started if process.is_running()} | set(sweep.children(recursive=True))
    if sys.stdin.buffer.read():
        return
    time.sleep(PATIENCE_S)
    for process in started - {psutil.Process()}:
        with contextlib.suppress(psutil.Error):
            process.kill()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(psutil.Process(int(sys.argv[1])), Path(sys.argv[2]))
