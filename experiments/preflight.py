"""What a sweep refuses before it reads data, starts Ray or writes anything."""

from __future__ import annotations

import os
from pathlib import Path

import ray

from db import check_database
from experiments.slots import check_fits_here, plan_slots
from experiments.sweep_config import SweepConfig


def check_before(config: SweepConfig) -> None:
    """Raises ValueError for folders that cannot be, a record that cannot be opened, a trial that fits no machine."""
    folders = {"runs": config.runs, "data.cache": config.data.cache, "ray.storage": config.ray.storage}
    for key, folder in folders.items():
        if folder is not None:
            check_folder(key, Path(folder))
    check_database(config.storage.url)
    if ray.is_initialized():
        plan_slots(config.resources)
    elif config.ray.address is None:
        check_fits_here(config.resources)


def check_folder(key: str, folder: Path) -> None:
    """Raises ValueError unless the folder can be written, or made; `key` names it on the command line."""
    whole = folder.expanduser().absolute()
    there = next(path for path in (whole, *whole.parents) if path.exists())
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return
    fact = "cannot be written" if there.is_dir() else "is no folder"
    raise ValueError(
        f"{key} must be a folder that can be written, got {folder}, but {there} {fact}; write {key}=FOLDER"
    )
