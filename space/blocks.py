"""Bars of block characters, an eighth of a character fine."""

from __future__ import annotations

import math
from collections.abc import Sequence

_LEFT = " ▏▎▍▌▋▊▉█"
_LOWER = " ▁▂▃▄▅▆▇█"


def bar(share: float, width: int) -> str:
    """A bar to the right, `width` characters long at a share of 1, with spaces up to there; any share above 0 shows."""
    return "".join(_LEFT[eighths] for eighths in _eighths(share, width))


def columns(heights: Sequence[float], rows: int) -> list[str]:
    """Bars upwards, a character wide, `rows` high at 1, as lines from the top; any height above 0 shows."""
    towers = [_eighths(height, rows) for height in heights]
    return ["".join(_LOWER[tower[row]] for tower in towers) for row in reversed(range(rows))]


def _eighths(share: float, cells: int) -> list[int]:
    """How many eighths of each cell are full."""
    filled = math.ceil(8 * cells * share) if share * cells < 1 / 8 else round(8 * cells * share)
    return [min(8, max(0, filled - 8 * cell)) for cell in range(cells)]
