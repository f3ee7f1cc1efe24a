"""The remedy part of an error about an unknown word: the nearest known one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def remedy(word: str, known: Iterable[str], prefix: str = "") -> str:
    """Such as "did you mean idconv_groups?", or all known words where none is near.

    `prefix` is written before each known word, and is not part of `word`.
    """
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f"did you mean {prefix}{near[0]}?"
    return f"known are {', '.join(prefix + one for one in known)}" if known else "none is known here"


def require_known(word: str, known: Iterable[str], what: str) -> None:
    """Raises ValueError unless `word` is known; `what` names its kind in the message."""
    known = list(known)
    if word not in known:
        raise ValueError(f"unknown {what} {word!r}; {remedy(str(word), known)}")
