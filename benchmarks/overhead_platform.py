"""The platform's side of the overhead benchmark: python -m benchmarks.overhead_platform FOLDER TRIALS [WORDS]."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import experiments.sweep  # first: it sets what Ray reads when it is imported

# isort: split
import ray
from hydra import compose, initialize_config_module
from rich.console import Console

from benchmarks.moments import Moments
from experiments.sweep_config import SweepConfig
from space.cli import to_typed

# More variants than anybody runs, whose networks stay different as their own proxies: none is run for another.
WORDS = ("space=transxnet", "search=random", "seeds=1", "proxy.epochs=1", "proxy.width_scale=1", "proxy.depth_scale=1")


def run_platform(folder: Path, trials: int, words: Sequence[str], moments: Moments) -> None:
    """A whole sweep, as its command runs it, with trials that do nothing. Raises RuntimeError if it fails."""
    with contextlib.ExitStack() as hooks, open(os.devnull, "w") as nowhere:
        begin_to_watch(moments, hooks)
        code = experiments.sweep.sweep(sweep_config(folder, trials, words), Console(file=nowhere))
    if code != 0:
        raise RuntimeError(f"the sweep of the benchmark failed with exit code {code}")


def sweep_config(folder: Path, trials: int, words: Sequence[str]) -> SweepConfig:
    """Of so many different networks, its record and its files in the folder."""
    places = [f"runs={folder / 'runs'}", f"storage.url=sqlite:///{folder / 'sweeps.db'}"]
    with initialize_config_module("experiments.conf", version_base=None):
        return to_typed(compose("sweep", [*WORDS, f"trials={trials}", *places, *words]), SweepConfig)


def begin_to_watch(moments: Moments, hooks: contextlib.ExitStack) -> None:
    """The hooks are here, not in the platform, which imports what it needs when it would without them."""

    def ray_ready(_arguments: tuple[Any, ...]) -> None:
        moments.ray_ready = moments.now()
        watch_trials(moments, hooks)

    hooks.enter_context(mock.patch.object(ray, "init", followed(ray.init, ray_ready)))


def watch_trials(moments: Moments, hooks: contextlib.ExitStack) -> None:
    """Have the platform run trials that do nothing, and tell when they begin and end."""
    from benchmarks.idle_trial import IdleTrial
    from experiments import conduct
    from experiments.driver import Driver

    hooks.enter_context(mock.patch.object(conduct, "ProxyTrial", IdleTrial))
    hooks.enter_context(mock.patch.object(conduct, "run", moments.memory_sampled()(conduct.run)))
    for name, then in (
        ("take_epoch", lambda arguments: moments.started(arguments[2]["started"])),
        ("take_end", lambda _arguments: moments.ended()),
    ):
        hooks.enter_context(mock.patch.object(Driver, name, followed(getattr(Driver, name), then)))


def followed(function: Callable[..., Any], then: Callable[[tuple[Any, ...]], None]) -> Callable[..., Any]:
    """The function, after which `then` gets its arguments."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        then(args)
        return result

    return wrapped


def main() -> None:
    """Run, and tell the moments."""
    folder, moments = Path(sys.argv[1]), Moments()
    run_platform(folder, int(sys.argv[2]), sys.argv[3:], moments)
    moments.write(folder)


if __name__ == "__main__":
    main()
