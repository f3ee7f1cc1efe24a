"""The latencies of a space from measured parts: a few hundred blocks predict any network made of them. No torch."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from transxnet.arch import ArchConfig
from transxnet.cost.calibration import Calibration, CalibrationPoint
from transxnet.cost.closed_form import estimate
from transxnet.cost.latency_parts import Place, edges, places
from transxnet.cost.latency_plan import Bench, Plan, Progress, Stopwatch
from transxnet.cost.measured_latency import LatencySettings, check_count, checked_keys
from transxnet.operators import PARTS

_ANCHOR, _NETWORK = "anchor", "network"
Value = TypeVar("Value")
Times = dict[tuple[str, str], float]
"""What one pass found: by kind or position, and by name or choice."""


@dataclass(frozen=True)
class LatencyTable:
    """Milliseconds of the parts of a space's networks."""

    settings: LatencySettings
    edges: Mapping[str, float]
    """Stems, downsamplings and heads."""
    blocks: Mapping[str, float]
    """The reference block of each position."""
    changes: Mapping[str, Mapping[str, float]]
    """By position: what a part's choice changes in the reference; 0 for the reference's own."""
    calibration: Calibration

    @classmethod
    def measure(
        cls,
        archs: Iterable[ArchConfig],
        settings: LatencySettings,
        *,
        calibrations: int = 8,
        passes: int = 3,
        bench: Bench | None = None,
        progress: Progress | None = None,
    ) -> LatencyTable:
        """The table of all parts of `archs`, calibrated with a few of `archs` measured whole.

        `archs` are all networks of a small space, or so many of a large one that each choice occurs at each position.
        Everything is measured `passes` times, one pass after the other, and the median counts: what disturbs one does
        not disturb all. Raises ValueError for too few of anything, and for settings of another machine.
        """
        for name, count in (("calibrations", calibrations), ("passes", passes)):
            check_count(name, count)
        networks = list({arch.id: arch for arch in (_sized(arch, settings) for arch in archs)}.values())
        if not networks:
            raise ValueError("a table needs networks whose parts it measures, got none; pass those of a space")
        bench = bench or _torch_bench(settings)
        plan = Plan()
        plan.add(networks)
        chosen = _evenly(sorted(networks, key=lambda arch: estimate(arch).macs), min(calibrations, len(networks)))
        watch = Stopwatch(bench, passes * (plan.size + len(chosen)), progress)
        found = _medians([_measured(plan, chosen, watch) for _ in range(passes)])
        table = _uncalibrated(plan, settings, found)
        points = [CalibrationPoint(arch, table.sum_ms(arch), found[_NETWORK, arch.id]) for arch in chosen]
        return dataclasses.replace(table, calibration=Calibration.of(points))

    def predict(self, arch: ArchConfig) -> float:
        """Milliseconds of a batch; raises ValueError, which names it, for a part that was not measured."""
        return self.calibration(self.sum_ms(_sized(arch, self.settings)))

    def sum_ms(self, arch: ArchConfig) -> float:
        """Milliseconds of its parts, each measured alone; raises ValueError as `predict` does."""
        around = [_entry(self.edges, edge.name, "a network") for edge in edges(arch)]
        return sum(around) + sum(place.depth * self._block_ms(place) for place in places(arch))

    @property
    def size(self) -> int:
        """Number of parts measured alone."""
        exchanged = sum(len(changes) - len(PARTS) for changes in self.changes.values())
        return len(self.edges) + len(self.blocks) + exchanged

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON; `from_dict` is the inverse."""
        return {
            "settings": self.settings.to_dict(),
            "edges": dict(self.edges),
            "blocks": dict(self.blocks),
            "changes": {position: dict(changes) for position, changes in self.changes.items()},
            "calibration": self.calibration.to_dict(),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> LatencyTable:
        """The table that `to_dict` described; raises ValueError for other keys."""
        values = checked_keys(plain, cls, "a latency table")
        settings = LatencySettings.from_dict(values.pop("settings"))
        return cls(settings, calibration=Calibration.from_dict(values.pop("calibration")), **values)

    def _block_ms(self, place: Place) -> float:
        reference = _entry(self.blocks, place.position, "a block")
        changes = self.changes[place.position]
        return reference + sum(_entry(changes, choice, place.position) for choice in place.choices.values())


def _measured(plan: Plan, networks: Sequence[ArchConfig], watch: Stopwatch) -> Times:
    """One pass: milliseconds of anchors and networks; for exchanged parts, how many times the reference's."""
    anchors = list(plan.anchors.values())
    found = {(_ANCHOR, name): ms for name, ms in zip(plan.anchors, watch.compare(anchors, anchors[0]), strict=True)}
    for position, exchanged in plan.exchanged.items():
        ratios = watch.compare(list(exchanged.values()), plan.references[position], 1.0)
        found |= {(position, choice): ratio for choice, ratio in zip(exchanged, ratios, strict=True)}
    return found | {(_NETWORK, arch.id): ms for arch, ms in zip(networks, watch.take(networks), strict=True)}


def _medians(passes: Sequence[Times]) -> Times:
    return {key: statistics.median(found[key] for found in passes) for key in passes[0]}


def _uncalibrated(plan: Plan, settings: LatencySettings, found: Times) -> LatencyTable:
    around = {name: found[_ANCHOR, name] for name in plan.edges}
    blocks = {position: found[_ANCHOR, position] for position in plan.references}
    changes = {
        position: dict.fromkeys(plan.own[position], 0.0)
        | {choice: block_ms * (found[position, choice] - 1) for choice in plan.exchanged[position]}
        for position, block_ms in blocks.items()
    }
    return LatencyTable(settings, around, blocks, changes, Calibration(1.0, 0.0, ()))


def _entry(table: Mapping[str, Value], key: str, whose: str) -> Value:
    if key not in table:
        raise ValueError(
            f"a table must hold every part of a network that it predicts, got none for {key!r} of {whose}; "
            f"measure it with a network that has it"
        )
    return table[key]


def _sized(arch: ArchConfig, settings: LatencySettings) -> ArchConfig:
    return arch.replace(image_size=settings.image_size or arch.image_size)


def _evenly(archs: Sequence[ArchConfig], count: int) -> list[ArchConfig]:
    """So many of a sequence, from its first to its last."""
    steps = max(count - 1, 1)
    return [archs[round(place * (len(archs) - 1) / steps)] for place in range(count)]


def _torch_bench(settings: LatencySettings) -> Bench:
    from transxnet.cost.timed_parts import TorchBench  # torch comes with this call only

    return TorchBench(settings)
