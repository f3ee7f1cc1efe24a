"""A program that writes batches until it is killed, and says of each that it was stored."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from db_examples import artifact, epoch, trial

from db import LeadRecord, Store, TrialEnd, TrialRecord, TrialState
from db.writes import Write

STUDY = "groups"
SIZE = 4
"""Trials that a batch begins. It ends those of the batch before, with their epochs and files."""


def write(url: str, lead: str) -> None:
    """Write for ever; a line for each batch that `Store.write` returned from, when it had."""
    with Store.open(url) as store:
        own = LeadRecord(STUDY, lead, "host", os.getpid())
        store.take_lead(own, instead_of=store.lead(STUDY))
        running: list[TrialRecord] = []
        while True:
            marker = uuid4().hex
            begun = [trial(uid=uuid4().hex, variant={"batch": marker}, seed=seed) for seed in range(SIZE)]
            stored = store.write([*begun, *ends_of(running, marker)], own)
            running = stored[:SIZE]
            os.write(1, f"{marker} {' '.join(str(one.id) for one in running)}\n".encode())


def ends_of(running: list[TrialRecord], marker: str) -> list[Write]:
    writes: list[Write] = []
    for one in running:
        assert one.id is not None
        writes += [epoch(one.id, number, train_loss=value_of(marker)) for number in (1, 2)]
        writes.append(artifact(one.id, sha256=marker))
    writes += [TrialEnd(one.id or 0, TrialState.COMPLETE, reason=marker, **result(marker)) for one in running]
    return writes


def result(marker: str) -> dict[str, Any]:
    value = value_of(marker)
    moment = datetime.fromtimestamp(1_700_000_000 + int(value * 1000), UTC)
    return {"epochs_run": 2, "val_accuracy": value, "val_loss": value, "train_seconds": value, "finished_at": moment}


def value_of(marker: str) -> float:
    """A number between 0 and 1 that belongs to the batch."""
    return int(marker[:8], 16) / 16**8
