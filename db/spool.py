"""What could not be written, kept in a file beside the sweep until the next start writes it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from db.records import ArtifactRecord, EpochRecord, LeadRecord, TrialEnd, TrialState
from db.store import Store

Later = EpochRecord | ArtifactRecord | TrialEnd
"""What may wait: it belongs to trials that are stored."""

_KINDS: dict[str, type[Later]] = {kind.__name__: kind for kind in (EpochRecord, ArtifactRecord, TrialEnd)}


class Spool:
    """A file of writes for one database, a line each."""

    def __init__(self, folder: Path, store: Store) -> None:
        """In `folder`; another database has another file there."""
        self._store = store
        self.file = folder / f"spool-{hashlib.sha256(store.url.encode()).hexdigest()[:8]}.jsonl"

    def keep(self, writes: Sequence[Later]) -> None:
        """Add writes to the file, all of them or none. Raises OSError if there is no room for them either."""
        before = self.file.read_text() if self.file.exists() else ""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        partial = self.file.with_suffix(".partial")
        with partial.open("w") as file:
            file.write(before + "".join(_line(write) + "\n" for write in writes))
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, self.file)

    def replay(self, lead: LeadRecord) -> int:
        """Write what was kept and remove the file; gives how many writes it held.

        Exactly once: whoever ends between the two does no harm, since a batch that is written again changes nothing.
        """
        if not self.file.exists():
            return 0
        writes = list(self._read())
        self._store.write(writes, lead, late=True)
        self.file.unlink()
        return len(writes)

    def _read(self) -> Iterator[Later]:
        for number, line in enumerate(self.file.read_text().splitlines(), start=1):
            try:
                yield _write(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"a spool holds one write a line, got another text in line {number} of {self.file} ({error}); move "
                    f"the file away to go on without what it holds"
                ) from error


def _line(write: Later) -> str:
    fields = {name: _plain(value) for name, value in vars(write).items()}
    return json.dumps({"kind": type(write).__name__, "fields": fields})


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
