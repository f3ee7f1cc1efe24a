"""What a name may be that stands in databases, folders and words on the command line."""

from __future__ import annotations

import re

MAX_NAME_LENGTH = 64
_NAME = re.compile(rf"[A-Za-z0-9._-]{{1,{MAX_NAME_LENGTH}}}")


def check_name(what: str, name: str) -> str:
    """The name itself; raises ValueError, which calls it `what`, unless it is a plain and safe file name."""
    if not _NAME.fullmatch(name) or not name.strip("."):
        raise ValueError(
            f"{what} must be 1 to {MAX_NAME_LENGTH} letters, digits, dots, underscores or hyphens, not dots "
            f"alone, got {name!r}; try {_plain(name)!r}"
        )
    return name


def _plain(name: str) -> str:
    """A legal name that resembles this one."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:MAX_NAME_LENGTH].strip("-.") or "my-study"
