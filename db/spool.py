"""What could not be written, kept in a file beside the sweep until the next start writes it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from db.durable import sync
from db.records import ArtifactRecord, EpochRecord, LeadRecord, TrialEnd, TrialState
from db.store import Store

Later = EpochRecord | ArtifactRecord | TrialEnd
"""What may wait: it belongs to trials that are stored."""

_MOVE_AWAY = "move the file away to go on without what it holds"
_KINDS: dict[str, type[Later]] = {kind.__name__: kind for kind in (EpochRecord, ArtifactRecord, TrialEnd)}


@dataclass(frozen=True)
class Replayed:
    """What came of a spool."""

    written: int
    unknown: int
    """Writes of trials that the database does not have, which stay: an older copy may have taken its place."""


class Spool:
    """A file of writes for one database, a line each."""

    def __init__(self, folder: Path, store: Store) -> None:
        """In `folder`; another database has another file there."""
        self._store = store
        self.file = folder / f"spool-{hashlib.sha256(store.url.encode()).hexdigest()[:8]}.jsonl"

    def keep(self, writes: Sequence[Later], uids: Mapping[int, str]) -> None:
        """Add writes to the file, all of them or none. Raises OSError if there is no room for them either.

        `uids` are those of their trials, by id: in a backup that takes the database's place an id may be another's.
        """
        before = self.file.read_text() if self.file.exists() else ""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        _put(self.file, before + "".join(_line(write, uids[write.trial_id]) + "\n" for write in writes))

    def replay(self, lead: LeadRecord) -> Replayed:
        """Write what was kept, also by a sweep that knew the database by another URL, and forget it.

        Exactly once: whoever ends between the two does no harm, since a batch that is written again changes nothing.
        What this database has no trials for stays. Raises ValueError, which names the file, for one that holds
        something else.
        """
        found = [self._replay(file, lead) for file in sorted(self.file.parent.glob("spool-*.jsonl"))]
        return Replayed(sum(each.written for each in found), sum(each.unknown for each in found))

    def _replay(self, file: Path, lead: LeadRecord) -> Replayed:
        kept = list(read_kept(file))
        ids = self._store.trial_ids(lead.study, {uid for uid, _ in kept})
        if not ids and file != self.file:
            return Replayed(0, 0)  # of a database that is another one
        writes = [dataclasses.replace(write, trial_id=ids[uid]) for uid, write in kept if uid in ids]
        try:
            self._store.write(writes, lead, late=True)
        except ValueError as error:
            raise ValueError(f"what {file} holds must fit the record, but {error}; {_MOVE_AWAY}") from error
        if rest := [_line(write, uid) + "\n" for uid, write in kept if uid not in ids]:
            _put(file, "".join(rest))
        else:
            file.unlink()
        return Replayed(len(writes), len(rest))


def read_kept(file: Path) -> Iterator[tuple[str, Later]]:
    """The writes that a spool holds, each with its trial's uid; raises ValueError for a line that is none."""
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        try:
            plain = json.loads(line)
            yield plain["trial"], _write(plain)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"a spool holds one write a line, got another text in line {number} of {file} ({error}); {_MOVE_AWAY}"
            ) from error


def _put(file: Path, text: str) -> None:
    """Give a file this text, or leave it as it is."""
    partial = file.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with partial.open("x") as new:  # never through a link
        new.write(text)
    sync(partial)
    os.replace(partial, file)
    sync(file.parent)


def _line(write: Later, uid: str) -> str:
    fields = {name: _plain(value) for name, value in vars(write).items()}
    return json.dumps({"kind": type(write).__name__, "trial": uid, "fields": fields})


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _write(plain: dict[str, Any]) -> Later:
    kind, fields = _KINDS[plain["kind"]], dict(plain["fields"])
    if kind is TrialEnd:
        fields["state"] = TrialState(fields["state"])
        fields["finished_at"] = fields["finished_at"] and datetime.fromisoformat(fields["finished_at"])
    missing = {field.name for field in dataclasses.fields(kind)} - set(fields)
    if missing:
        raise KeyError(*sorted(missing))
    return kind(**fields)
