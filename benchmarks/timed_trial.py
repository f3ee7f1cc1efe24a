"""A trial of the platform that also writes down where its time goes. The hooks are here, not in the platform."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from experiments.data.batches import TrainBatches
from experiments.trainable import ProxyTrial

PARTS = ("forward", "backward", "optimiser", "data", "evaluation", "loop", "build", "save")
"""Of a trial. "loop" is what remains of its epochs: the loss, the schedule, the loop itself."""


class Clock:
    """Seconds by part; a part inside another one counts for the outer alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._busy = False

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            if self._busy:
                return function(*args, **kwargs)
            self._busy, start = True, now()
            try:
                return function(*args, **kwargs)
            finally:
                self._busy = False
                self.seconds[part] += now() - start

        return timed


def now() -> float:
    """Seconds, once a GPU has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


class TimedBatches:
    """Training batches that are timed as they are made."""

    def __init__(self, batches: TrainBatches, clock: Clock) -> None:
        self._batches, self._clock = batches, clock

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Any]:
        following = self._clock.timed("data", iter(self._batches).__next__)
        while True:
            try:
                batch = following()
            except StopIteration:
                return
            yield batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batches, name)


def timed_trial(folder: Path) -> type[ProxyTrial]:
    """ProxyTrial that writes a JSON file into `folder` for each trial that ends."""

    class TimedTrial(ProxyTrial):  # local, so that Ray sends it to the workers whole
        def setup(self, config: dict[str, Any]) -> None:
            self._clock, self._started = Clock(), time.time()
            self._clock.timed("build", super().setup)(config)
            if self.trial.training is not None:
                instrument(self.trial.training, self._clock)

        def step(self) -> dict[str, Any]:
            start = now()
            result = super().step()
            self._clock.seconds["epochs"] += now() - start
            return result

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            self._clock.timed("save", super().save_checkpoint)(checkpoint_dir)
            told = {
                "worker": os.getpid(),
                "started": self._started,
                "ended": time.time(),
                "seconds": parts(self._clock.seconds),
            }
            (folder / f"{uuid.uuid4().hex}.json").write_text(json.dumps(told))

    return TimedTrial


def instrument(training: Any, clock: Clock) -> None:
    """Put the clock around the parts of a training step."""
    training._forward = clock.timed("forward", training._forward)
    training.evaluate = clock.timed("evaluation", training.evaluate)
    training.batches = TimedBatches(training.batches, clock)
    optimizer = training.optimizer
    for name in ("zero_grad", "clip_grad_norm", "step"):
        setattr(optimizer, name, clock.timed("optimiser", getattr(optimizer, name)))
    backward = getattr(torch.Tensor.backward, "untimed", torch.Tensor.backward)
    timed = clock.timed("backward", backward)
    timed.untimed = backward  # type: ignore[attr-defined]  # a worker trains several trials
    torch.Tensor.backward = timed  # type: ignore[method-assign]


def parts(seconds: dict[str, float]) -> dict[str, float]:
    """By the names of PARTS."""
    inside = ("forward", "backward", "optimiser", "data", "evaluation")
    loop = seconds["epochs"] - sum(seconds[name] for name in inside)
    return {name: seconds[name] for name in PARTS if name != "loop"} | {"loop": loop}
