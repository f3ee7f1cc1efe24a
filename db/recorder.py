"""How a sweep writes: in batches, patient with a database that is away, and with a spool for one that stays away."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from db.engine import DamagedDatabase
from db.faults import RecordDamaged, RecordFault
from db.records import LeadRecord, TrialRecord, TrialStart, TrialState
from db.spool import Later, Spool
from db.store import Store
from db.writes import Write

T = TypeVar("T")

DELAY_S = 0.5
"""How long a write may wait for company."""
PAUSE_S = 0.5
"""Between two attempts to reach a database that is away."""


class Recorder:
    """The writes of the driver that leads a study, in their order.

    What waits is not acknowledged yet: `then` of a write is called when it is stored. The trial is written at once.
    """

    def __init__(
        self,
        store: Store,
        lead: LeadRecord,
        spool: Spool,
        *,
        patience_s: float,
        hurry: Callable[[], bool] = lambda: False,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Waits up to `patience_s` for a database that is away, no more once `hurry` is true, and lets `tell` know."""
        self._store, self._lead, self._spool = store, lead, spool
        self._patience_s, self._hurry, self._tell = patience_s, hurry, tell
        self._waiting: list[Later] = []
        self._uids: dict[int, str] = {}  # of trials that run, by id
        self._thens: list[Callable[[], None]] = []
        self._since: float | None = None  # when the oldest of what waits came

    def later(self, write: Later, then: Callable[[], None] = lambda: None) -> None:
        """Write within DELAY_S, if `tick` is called that often; `then` is called when it is stored."""
        self._waiting.append(write)
        self._thens.append(then)
        self._since = self._since or time.monotonic()
        self.tick()

    def tick(self) -> None:
        """Write what has waited long enough."""
        if self._since is not None and time.monotonic() - self._since >= DELAY_S:
            self.flush()

    def flush(self) -> None:
        """Write all that waits, now. Raises RecordFault, and has spooled what waited."""
        if self._waiting:
            self._write([])

    def add(self, *writes: Write) -> list[TrialRecord]:
        """Write these now, after all that waits; gives the trials among them as they are stored."""
        written = self._write(list(writes))
        return [trial for trial in written if any(_begins(write, trial) for write in writes)]

    def interrupt_running(self, reason: str) -> list[TrialRecord]:
        """Write what waits; then no trial of the study is RUNNING."""
        self.flush()
        return self.patiently(lambda: self._store.interrupt_running(self._lead.study, reason, self._lead))

    def patiently(self, action: Callable[[], T]) -> T:
        """What an action on the store gives, in the end. Raises RecordFault, and has spooled what waited."""
        deadline = time.monotonic() + self._patience_s
        told = False
        while True:
            try:
                return action()
            except DamagedDatabase as damaged:
                self._keep_for_later()
                raise RecordDamaged(str(damaged)) from damaged
            except RecordFault as fault:
                if not fault.may_pass or self._hurry() or time.monotonic() > deadline:
                    self._keep_for_later()
                    raise
                if not told:
                    self._tell(f"the database does not answer; waiting for it up to {self._patience_s:g} s ({fault})")
                    told = True
            time.sleep(PAUSE_S)

    def _write(self, more: list[Write]) -> list[TrialRecord]:
        batch: list[Write] = [*self._waiting, *more]
        written = self.patiently(lambda: self._store.write(batch, self._lead))
        self._remember(written)
        thens, self._thens, self._waiting, self._since = self._thens, [], [], None
        for then in thens:
            then()
        return written

    def _remember(self, written: list[TrialRecord]) -> None:
        """What runs: only of that more can be written."""
        for trial in written:
            assert trial.id is not None
            if trial.state is not TrialState.RUNNING:
                self._uids.pop(trial.id, None)
            elif trial.uid is not None:
                self._uids[trial.id] = trial.uid

    def _keep_for_later(self) -> None:
        """On a disk without room, what waits is lost: it was acknowledged to nobody, and its trials run again."""
        if not self._waiting:
            return
        try:
            self._spool.keep(self._waiting, self._uids)
        except OSError as error:
            self._tell(f"{len(self._waiting)} writes could not be kept for later: {error}")
            return
        self._tell(f"{len(self._waiting)} writes are kept in {self._spool.file}; the next start stores them")
        self._waiting, self._thens, self._since = [], [], None


def _begins(write: Write, trial: TrialRecord) -> bool:
    begun = write.trial if isinstance(write, TrialStart) else write
    return isinstance(begun, TrialRecord) and begun.uid == trial.uid
