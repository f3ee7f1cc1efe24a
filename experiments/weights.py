"""Keeping the weights that a trial ended with, as an artifact of its row."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from db import ArtifactRecord, TrialRecord
from db.durable import sync

WEIGHTS = "weights"
"""Kind of the artifact."""


def keep_weights(trial: TrialRecord, source: Path, folder: Path) -> ArtifactRecord:
    """Copy a safetensors file into `folder`, whole or not at all; returns the artifact to record."""
    assert trial.id is not None
    folder.mkdir(parents=True, exist_ok=True)
    # Ids are one database's: with the uid no other one's trial has the name.
    target = folder / f"trial-{trial.id}-{(trial.uid or '')[:8]}.safetensors"
    partial = target.with_suffix(".partial")
    shutil.copyfile(source, partial)
    sync(partial)
    os.replace(partial, target)
    sync(folder)  # the row that vouches for the file is on the disk when it is written
    return ArtifactRecord(trial.id, WEIGHTS, str(target.resolve()), sha256(target), target.stat().st_size)


def sha256(path: Path) -> str:
    """Hexadecimal digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
