"""What a process that runs trials tells of itself: when Ray was ready, when trials started and ended, its memory."""

from __future__ import annotations

import json
import threading
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FILE = "moments.json"
SAMPLE_S = 2.0


class Moments:
    """Times of the clock in seconds since 1970, so that those of several processes compare."""

    def __init__(self) -> None:
        self.ray_ready: float | None = None
        self.first_start: float | None = None
        """When the first trial's worker began it."""
        self._ends, self._cpu = array("d"), array("d")
        self._memory: list[dict[str, float]] = []

    @staticmethod
    def now() -> float:
        """By the clock that all of them share."""
        return time.time()

    def started(self, moment: float) -> None:
        """A trial had begun at this moment."""
        self.first_start = min(self.first_start or moment, moment)

    def ended(self) -> None:
        """A trial has ended now."""
        self._ends.append(self.now())
        self._cpu.append(time.process_time())

    @contextmanager
    def memory_sampled(self) -> Iterator[None]:
        """Sample this process's memory every few seconds, inside."""
        done = threading.Event()
        thread = threading.Thread(target=self._sample_until, args=[done], daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            self._sample()

    def write(self, folder: Path) -> None:
        """As JSON, into the folder's FILE."""
        told: dict[str, Any] = {
            "ray_ready": self.ray_ready,
            "first_start": self.first_start,
            "ends": list(self._ends),
            "cpu": list(self._cpu),
            "memory": self._memory,
        }
        (folder / FILE).write_text(json.dumps(told))

    def _sample_until(self, done: threading.Event) -> None:
        while not done.wait(SAMPLE_S):
            self._sample()

    def _sample(self) -> None:
        self._memory.append({"trials": len(self._ends), "time": self.now(), **memory_mib()})


def memory_mib() -> dict[str, float]:
    """What this process has in memory, and what of it came from no file; by Linux's account.

    Not what it shares with nobody: libraries count as its own as soon as no worker is there.
    """
    lines = (line.split() for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:])
    kib = {words[0].rstrip(":"): int(words[1]) for words in lines}
    return {"rss": kib["Rss"] / 1024, "own": kib["Anonymous"] / 1024}
