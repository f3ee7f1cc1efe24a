"""The file that a benchmark writes: whether it can be is known before hours of measuring, not after."""

from __future__ import annotations

from pathlib import Path


def require_writable(path: Path) -> None:
    """Makes the file's folder; raises ValueError for a file that cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
    except OSError as error:
        raise ValueError(
            f"--out must be a file that can be written, got {path} ({error.strerror}); choose another"
        ) from error
