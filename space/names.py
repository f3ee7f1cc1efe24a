"""What the name of a space may be: it stands in the names of studies, folders and files.

The rule is that of db/names.py, which this house does not know; a test holds them together.
"""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def check_space_name(name: str) -> None:
    """Raises ValueError unless the name is a plain and safe file name."""
    if not _NAME.fullmatch(name) or not name.strip("."):
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:64].strip("-.") or "my-space"
        raise ValueError(
            f"the name of a space must be 1 to 64 letters, digits, dots, underscores or hyphens, not dots alone, got "
            f"{name!r}; try {plain!r}"
        )
