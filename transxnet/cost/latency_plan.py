"""What a latency table measures: each part of its networks once, in blocks that differ from a reference in it alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from transxnet.arch import ArchConfig
from transxnet.cost.latency_parts import (
    BlockPart,
    EdgePart,
    Part,
    Place,
    edges,
    places,
)

Progress = Callable[[int, int], None]
"""Gets how many parts and networks are measured, and of how many."""
TOGETHER = 32
"""Parts that take turns. Each such group is compared with one part, measured in the same seconds."""


class Bench(Protocol):
    """What measures; `transxnet.cost.timed_parts.TorchBench` does so by the clock."""

    def times_ms(self, parts: Sequence[Part]) -> list[float]:
        """Milliseconds of each, taken in turns."""
        ...


@dataclass
class Plan:
    """Grows by networks; the first block seen at a position is its reference."""

    edges: dict[str, EdgePart] = field(default_factory=dict)
    references: dict[str, BlockPart] = field(default_factory=dict)
    """By position."""
    own: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By position: the reference's choices."""
    exchanged: dict[str, dict[str, BlockPart]] = field(default_factory=dict)
    """By position: choice -> the reference with it."""

    @property
    def size(self) -> int:
        """Parts to measure."""
        return len(self.edges) + len(self.references) + sum(map(len, self.exchanged.values()))

    @property
    def anchors(self) -> dict[str, BlockPart | EdgePart]:
        """References and edges: what is measured in milliseconds, not as a share of a reference."""
        return {**self.references, **self.edges}

    def add(self, archs: Iterable[ArchConfig]) -> None:
        """Plan the parts of these networks that are not planned yet."""
        for arch in archs:
            self.edges.update({edge.name: edge for edge in edges(arch)})
            for place in places(arch):
                self._add(place)

    def _add(self, place: Place) -> None:
        reference = self.references.setdefault(place.position, place.block)
        own = self.own.setdefault(place.position, tuple(place.choices.values()))
        exchanged = self.exchanged.setdefault(place.position, {})
        for part, choice in place.choices.items():
            if choice not in exchanged and choice not in own:
                exchanged[choice] = place.exchanged(part, reference)


class Stopwatch:
    """Measures parts in groups that take turns, and tells how far it is."""

    def __init__(self, bench: Bench, total: int, progress: Progress | None) -> None:
        self._bench, self._total, self._progress, self._done = bench, total, progress, 0

    def take(self, parts: Sequence[Part]) -> list[float]:
        """Milliseconds of each, all in turns."""
        times = self._bench.times_ms(parts)
        self._tell(len(parts))
        return times

    def compare(self, parts: Sequence[Part], scale: Part, scale_ms: float | None = None) -> list[float]:
        """Milliseconds of each, as if `scale` took `scale_ms`, by default what it takes in the first group.

        `scale` is measured in every group: where the machine is slower for a while, it is slower too.
        """
        found: list[float] = []
        for start in range(0, len(parts), TOGETHER):
            group = parts[start : start + TOGETHER]
            now_ms, *times = self._bench.times_ms([scale, *group])
            scale_ms = now_ms if scale_ms is None else scale_ms
            found += [time * scale_ms / now_ms for time in times]
            self._tell(len(group))
        return found

    def _tell(self, count: int) -> None:
        self._done += count
        if self._progress is not None:
            self._progress(self._done, self._total)
