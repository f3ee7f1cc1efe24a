"""One driver a study, on whatever machine: two would take each other's running trials for dead."""

from __future__ import annotations

import fcntl
import os
import platform
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psutil

from db import LeadRecord, RecordFault, Store

RENEW_S = 5.0
"""Between two signs of life."""
EXPIRES_S = 30.0
"""After so long without a sign of life, a driver of another machine is taken for dead; one of this is looked for."""
WATCHED = 0.5
"""The part of that time for which it is watched in any case: it may have been silent because the database was away."""
LOOK_S = 0.5
"""Between two looks whether a silent one lives."""


@contextmanager
def leading(
    store: Store, study: str, folders: Collection[Path], tell: Callable[[str], None], *, expires_s: float = EXPIRES_S
) -> Iterator[LeadRecord]:
    """Lead the study of a store, and hold `folders`, until the end; all are free again however this process ends.

    Raises ValueError, naming host and process, if another driver leads. `tell` gets a line if it has to wait until one
    of another machine was silent for `expires_s` and is taken for dead.
    """
    with ExitStack() as held:
        for folder in {folder.resolve() for folder in folders}:
            held.enter_context(_only_driver(folder, study))
        lead = _take(store, _own_lead(study), tell, expires_s)
        renewing = _Renewing(store, lead)
        renewing.start()
        try:
            yield lead
        finally:
            renewing.end()
            _give_up(store, lead)


def _take(store: Store, own: LeadRecord, tell: Callable[[str], None], expires_s: float) -> LeadRecord:
    first = found = store.take_lead(own)
    watched_from = time.monotonic()
    while found.holder != own.holder:
        if _lives(found) or found.renewed_at != first.renewed_at:
            raise _refusal(own.study, found.who)
        is_silent = found.age_s > expires_s and time.monotonic() - watched_from > WATCHED * expires_s
        if _is_dead(found) or is_silent:
            first = found = store.take_lead(own, instead_of=found)
            watched_from = time.monotonic()
            continue
        if found is first:
            tell(f"{found.who} led this study {found.age_s:.0f} s ago; waiting to see whether it still does")
        time.sleep(LOOK_S)
        found = store.lead(own.study) or store.take_lead(own)
    return found


def _refusal(study: str, who: str) -> ValueError:
    return ValueError(
        f"a study has one sweep at a time, but {study} is being run by {who}; wait for it, or write study=NAME for "
        f"another"
    )


def _own_lead(study: str) -> LeadRecord:
    return LeadRecord(study, uuid4().hex, platform.node(), os.getpid(), _place(os.getpid()))


def _place(process: int) -> str:
    """Of a process: this boot, this container, and when the process began; the same for no other process ever."""
    return f"{_here()} {_began(process)}"


def _began(process: int) -> str:
    """When it began, told from the boot where that is known: the time of day may be set while it runs."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:  # it is gone, or this is not Linux
        return f"{psutil.Process(process).create_time():.2f}"


def _here() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        return platform.node()


def _is_here(lead: LeadRecord) -> bool:
    return lead.host == platform.node() and lead.place.startswith(_here() + " ")


def _lives(lead: LeadRecord) -> bool:
    """Whether its driver is a process of this machine that runs."""
    try:
        there = psutil.Process(lead.process)
        return _is_here(lead) and _place(lead.process) == lead.place and there.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_dead(lead: LeadRecord) -> bool:
    """Whether its driver was a process of this machine that runs no more."""
    return _is_here(lead) and not _lives(lead)


def _give_up(store: Store, lead: LeadRecord) -> None:
    with suppress(RecordFault, ValueError):  # it expires by itself
        store.give_up_lead(lead)


class _Renewing(threading.Thread):
    """Signs of life. What goes wrong with them, the next write meets as well."""

    def __init__(self, store: Store, lead: LeadRecord) -> None:
        super().__init__(name="lead", daemon=True)
        self._store, self._lead = store, lead
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(RENEW_S):
            with suppress(RecordFault, ValueError):  # a damaged file is a ValueError
                self._store.renew_lead(self._lead)

    def end(self) -> None:
        """Stop, and wait for a sign that is being given."""
        self._ended.set()
        self.join(timeout=RENEW_S)


@contextmanager
def _only_driver(folder: Path, study: str) -> Iterator[None]:
    """Hold the folder's lock: studies of one name in two databases must not share their files.

    It is seen by drivers that share the folder, and is free when this process ends, however it ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise _refusal(study, file.read().strip() or "another one") from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}")
        file.flush()
        yield
