"""Where two nested settings differ."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_SHOWN = 3
_WIDTH = 60
_ABSENT = object()


def describe_differences(old: Any, new: Any) -> str:
    """The first three that differ as `dotted.key: old -> new`, and how many more; empty if none does."""
    found = [f"{key}: {_show(before)} -> {_show(after)}" for key, before, after in _differences("", old, new)]
    more = f", and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more


def _differences(key: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys([*old, *new]):
            yield from _differences(f"{key}.{name}".lstrip("."), old.get(name, _ABSENT), new.get(name, _ABSENT))
    elif old != new:
        yield key, old, new


def _show(value: Any) -> str:
    if value is _ABSENT:
        return "(absent)"
    text = json.dumps(value)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."
