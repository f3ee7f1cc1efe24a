"""Sweeps in processes of their own that start fast: one process imports everything and forks each of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from fork_server import ForkServer, launch


@dataclass
class Zygote(ForkServer):
    """Starts sweeps; all that it and they started is gone in the end."""

    _leaders: list[int] = field(default_factory=list)

    def start(self, folder: Path, *words: str, **environment: str) -> int:
        """The process id of `python -m experiments.sweep WORDS` in a folder; it writes `said` there."""
        process = self.begin(folder=str(folder), words=words, environment=environment)
        self._leaders.append(process)
        return process

    def end(self) -> None:
        for leader in self._leaders:
            for left in family(leader):
                left.kill()
        super().end()


@contextmanager
def running_zygote() -> Iterator[Zygote]:
    zygote = launch(Zygote, Path(__file__).with_name("zygote_main.py"))
    try:
        yield zygote
    finally:
        zygote.end()


def family(leader: int) -> list[psutil.Process]:
    """The living processes of a session that a sweep leads: its own, and those that Ray started for it."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found
