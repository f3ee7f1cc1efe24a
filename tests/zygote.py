"""Sweeps in processes of their own that start fast: one process imports everything and forks each of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil


@dataclass
class Zygote:
    """Starts sweeps; all that it started is gone in the end."""

    process: subprocess.Popen[str]
    started: list[int] = field(default_factory=list)

    def start(self, folder: Path, *words: str, **environment: str) -> int:
        """The process id of `python -m experiments.sweep WORDS` in a folder; it writes `said` there."""
        reply = self._ask({"folder": str(folder), "words": words, "environment": environment})
        self.started.append(reply["process"])
        return int(reply["process"])

    def wait(self, process: int, timeout_s: float = 120) -> int:
        """The exit code; minus the signal that ended it."""
        deadline = time.monotonic() + timeout_s
        while (code := self._ask({"poll": process})["code"]) is None:
            assert time.monotonic() < deadline, f"process {process} did not end in {timeout_s} s"
            time.sleep(0.05)
        return int(code)

    def kill(self, process: int, number: int = signal.SIGKILL) -> int:
        """Send a signal and wait for the end."""
        if self._ask({"poll": process})["code"] is None:
            os.kill(process, number)
        return self.wait(process)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the process that starts sweeps has died"
        reply: dict[str, Any] = json.loads(line)
        return reply


@contextmanager
def running_zygote() -> Iterator[Zygote]:
    words = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("zygote_main.py"))]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    zygote = Zygote(process)
    try:
        yield zygote
    finally:
        for one in zygote.started:
            for left in family(one):
                left.kill()
        process.kill()
        process.wait()


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
