"""Ending a sweep early: the first Ctrl-C or SIGTERM asks running trials to checkpoint, the second ends it at once."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

GRACE_S = 6.0
"""How long running trials have to finish their epoch and checkpoint."""


class Stopping:
    """Whether the sweep is to end, and by which signal."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._asked_at = 0.0

    @property
    def is_asked(self) -> bool:
        """Whether no new trial is to begin, and each running one is to end with the epoch that it trains."""
        return self.signal is not None

    @property
    def is_due(self) -> bool:
        """Whether the trials have had their time."""
        return self.is_asked and time.monotonic() - self._asked_at >= GRACE_S

    @property
    def exit_code(self) -> int:
        """As shells tell an end by this signal."""
        return 128 + (self.signal or 0)

    def ask(self, number: int, frame: FrameType | None = None) -> None:
        """Handle a signal. Raises KeyboardInterrupt at the second."""
        if self.is_asked:
            raise KeyboardInterrupt
        self._asked_at = time.monotonic()
        self.signal = number

    @contextmanager
    def listening(self) -> Iterator[None]:
        """With both signals handled so, where this is the main thread; afterwards as they were."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
