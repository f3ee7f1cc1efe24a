"""Files that are there whole or not at all, in folders that they do not leave."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_whole(path: Path, content: bytes | Callable[[BinaryIO], None]) -> None:
    """Write or replace a file in one step, so that no reader and no crash ever sees a part of it.

    What is too large to be held at once is written by a function of the open file.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                content(file)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def folder_below(root: Path, *names: str) -> Path:
    """The folder of these names, there or not; raises ValueError if a link leads it out of `root`.

    `root` itself may be a link, to a larger disk for example.
    """
    folder = root.joinpath(*names)
    if not folder.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"{folder} must lie in {root}, but a link leads to {folder.resolve()}; remove the link")
    return folder
