"""Cases of a benchmark by their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar


class Named(Protocol):
    """What has a name."""

    @property
    def name(self) -> str:
        """By which it is asked for."""


Case = TypeVar("Case", bound=Named)


def chosen(cases: Sequence[Case], names: Sequence[str]) -> list[Case]:
    """The cases of these names, all if there are none. Raises ValueError for a name that is none's."""
    known = [case.name for case in cases]
    for name in names:
        if name not in known:
            raise ValueError(f"a case must be one of {', '.join(known)}, got {name!r}")
    return [case for case in cases if not names or case.name in names]
