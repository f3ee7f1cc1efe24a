"""One driver a study: two would take each other's running trials for dead."""

from __future__ import annotations

import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def only_driver(folder: Path, study: str) -> Iterator[None]:
    """Hold the study's lock, a file in `folder`; it is free again when this process ends, however it ends.

    Raises ValueError, naming host and process, if another driver holds it. It is seen by drivers that share the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise ValueError(
                f"a study has one sweep at a time, but {study} is being run by {file.read().strip() or 'another one'}; "
                f"wait for it, or write study=NAME for another"
            ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}")
        file.flush()
        yield
