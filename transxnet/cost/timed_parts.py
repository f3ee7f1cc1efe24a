"""Parts of networks by the clock: blocks, what stands around them, and whole networks, which take turns."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from transxnet.arch import ArchConfig
from transxnet.block import Block
from transxnet.cost.latency_parts import BlockPart, EdgePart, Part
from transxnet.cost.measured_latency import LEAST_REPEATS, LatencySettings, check_count
from transxnet.cost.timed import Step, conditions, module_step, network_step, run_ms
from transxnet.network import Stage, TransXNet


@dataclass(frozen=True)
class TorchBench:
    """Measures on this machine. Raises ValueError for settings of another one when it measures."""

    settings: LatencySettings
    rounds: int = 9
    """Turns of each part. The lower quartile counts: what else the machine does only ever adds."""
    warmup_rounds: int = 1

    def __post_init__(self) -> None:
        check_count("rounds", self.rounds, least=LEAST_REPEATS)
        check_count("warmup_rounds", self.warmup_rounds, least=0)

    def times_ms(self, parts: Sequence[Part]) -> list[float]:
        """Milliseconds of an undisturbed run of each."""
        with conditions(self.settings):
            steps = [_STEPS[type(part)](part, self.settings) for part in parts]
            times: list[list[float]] = [[] for _ in steps]
            for place in self._turns(len(steps)):
                times[place].append(run_ms(steps[place], self.settings))
        return [statistics.quantiles(found[self.warmup_rounds :], n=4, method="inclusive")[0] for found in times]

    def _turns(self, count: int) -> Iterator[int]:
        """Each place once a round, in another order each time: a busy machine has rhythms of its own."""
        order, draw = list(range(count)), random.Random(0)
        for _ in range(self.warmup_rounds + self.rounds):
            draw.shuffle(order)
            yield from order


def _block_step(part: BlockPart, settings: LatencySettings) -> Step:
    stage = Stage(part.stage, None, part.grid, [0.0])
    stage.kernels = settings.kernels
    for block in stage.blocks:
        assert isinstance(block, Block)
        block.has_all_parts = part.has_all_parts  # so kernels compute it as they do its position's other blocks
    return module_step(stage, (part.stage.width, *part.grid), settings)


def _edge_step(part: EdgePart, settings: LatencySettings) -> Step:
    return module_step(TransXNet(part.arch).get_submodule(part.module), part.shape, settings)


_STEPS: dict[type, Callable[[Any, LatencySettings], Step]] = {
    BlockPart: _block_step,
    EdgePart: _edge_step,
    ArchConfig: network_step,
}
