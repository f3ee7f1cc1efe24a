"""Keeping the weights that a trial ended with, as an artifact of its row."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from db import ArtifactRecord

WEIGHTS = "weights"


def keep_weights(trial_id: int, source: Path, folder: Path) -> ArtifactRecord:
    """Copy a safetensors file into `folder`, whole or not at all; returns the artifact to record."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"trial-{trial_id}.safetensors"
    partial = target.with_suffix(".partial")
    shutil.copyfile(source, partial)
    os.replace(partial, target)
    return ArtifactRecord(trial_id, WEIGHTS, str(target.resolve()), sha256(target), target.stat().st_size)


def sha256(path: Path) -> str:
    """Hexadecimal digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
