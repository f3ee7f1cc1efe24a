"""Which networks of a space a table is measured from, and which it must predict unseen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from space import Space
from transxnet.arch import ArchConfig


@dataclass(frozen=True)
class Networks:
    """Two sets that have no network in common."""

    known: list[ArchConfig]
    """Their parts are measured, a few of them whole."""
    held_out: list[ArchConfig]
    """Candidates for a test; the table may lack a part of some."""


def draw(space: Space, count: int, held_out: int, seed: int, image_size: int | None) -> Networks:
    """`count` random legal points of the space, each network once; a third of them at most is held out."""
    rng = np.random.default_rng(seed)
    points = space.sample(count, rng).points
    archs = [points.arch(row) for row in range(len(points))]
    sized = [arch if image_size is None else arch.replace(image_size=image_size) for arch in archs]
    distinct = list({arch.id: arch for arch in sized}.values())
    aside = min(held_out, len(distinct) // 3)
    return Networks(distinct[aside:], distinct[:aside])


def predictable(archs: list[ArchConfig], predict: Callable[[ArchConfig], float]) -> list[ArchConfig]:
    """Those that have no part which was not measured."""
    found = []
    for arch in archs:
        try:
            predict(arch)
        except ValueError:
            continue
        found.append(arch)
    return found
