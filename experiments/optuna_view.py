"""What optuna-dashboard shows of a sweep, kept up by a thread: the sweep neither waits for it nor fails with it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import optuna

from db.faults import DatabaseTrouble
from experiments.optuna_tables import OptunaTables, Shown

PAUSE_S = 1.0
"""Before another attempt, while the database is locked or away."""
CLOSE_S = 60.0
"""How long the end of a sweep waits for the view."""
HURRIED_S = 2.0
"""The same where somebody waits for the sweep to end."""
REST = 2.0
"""Of the view after an action, as a multiple of what that took: where results come faster than Optuna stores them, the
driver needs this process more."""

Action = Callable[[OptunaTables], None]


class OptunaView:
    """One Optuna trial for each variant: a view of the rows, never read back as truth, and mended at each start."""

    def __init__(self, open_tables: Callable[[], OptunaTables]) -> None:
        """`open_tables` is called in the thread."""
        self.trouble: str | None = None
        """Why the view is behind the record, if it is."""
        self._open = open_tables
        self._newest: dict[str, Shown] = {}  # what is to be shown, by id of the variant
        self._changing = threading.Lock()
        self._actions: queue.SimpleQueue[Action | None] = queue.SimpleQueue()
        self._give_up_at = float("inf")
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="optuna view", daemon=True)
        self._thread.start()

    def show(self, shown: Shown) -> None:
        """Show how a variant stands now, unless it stands otherwise before its turn comes."""
        with self._changing:
            waits, self._newest[shown.id] = shown.id in self._newest, shown
        if not waits:
            self._actions.put(partial(self._show_newest, shown.id))

    def show_all(self, finished: Sequence[Shown]) -> None:
        """Show what earlier runs finished, as far as it is not shown yet."""
        self._actions.put(lambda tables: tables.show_missing(finished))

    def interrupt(self) -> None:
        """Show all that runs as failed: the sweep ends."""
        self._actions.put(lambda tables: tables.fail_running())

    def flush(self, timeout_s: float = CLOSE_S) -> None:
        """Wait until all that was asked for is shown, or cannot be."""
        done = threading.Event()
        self._actions.put(lambda tables: done.set())
        deadline = time.monotonic() + timeout_s
        while self._thread.is_alive() and not done.wait(0.05) and time.monotonic() < deadline:
            pass

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Show what is left, and end."""
        self._give_up_at = time.monotonic() + timeout_s
        self._closing.set()
        self._actions.put(None)
        self._thread.join(timeout_s + PAUSE_S)
        if self._thread.is_alive():
            self.trouble = self.trouble or "it had much to show and too little time"

    def _show_newest(self, id: str, tables: OptunaTables) -> None:
        while (newest := self._newest.get(id)) is not None:
            tables.show(newest)
            with self._changing:
                if self._newest[id] is newest:
                    del self._newest[id]

    def _follow(self) -> None:
        tables: list[OptunaTables] = []
        try:
            self._patiently(lambda: tables.append(self._open()))
            for action in iter(self._actions.get, None):
                began = time.monotonic()
                self._patiently(lambda action=action: action(tables[0]))  # type: ignore[misc]
                self._closing.wait(REST * (time.monotonic() - began))
        except Exception as error:  # whatever it is, the record is not touched by it
            self.trouble = " ".join(f"{type(error).__name__}: {error}".split())
        finally:
            for opened in tables:
                opened.close()

    def _patiently(self, action: Callable[[], None]) -> None:
        while True:
            try:
                return action()
            except (optuna.exceptions.StorageInternalError, DatabaseTrouble):
                # Such as a lock, a server that starts again, or another sweep that makes Optuna's tables just now.
                if time.monotonic() > self._give_up_at:
                    raise
            time.sleep(PAUSE_S)
