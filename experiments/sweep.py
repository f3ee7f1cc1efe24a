"""Train the variants of a space and record what comes of it: python -m experiments.sweep space=NAME."""

from __future__ import annotations

import importlib
import os
import shlex
import sys
import threading
from typing import TYPE_CHECKING

# What Ray reads from the environment when it is imported.
os.environ |= {
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under `uv run` it would build a second environment for its workers
    "RAY_AIR_NEW_OUTPUT": "0",  # the progress display is ours
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # so is the record
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}

import hydra
from omegaconf import DictConfig
from rich.console import Console

from experiments.cluster import connected
from experiments.plan import introduce, make_plan
from experiments.stopping import Stopping
from experiments.sweep_config import SweepConfig
from space.cli import run_entry_point, to_typed

if TYPE_CHECKING:
    from ray.tune import Trainable


@hydra.main(version_base=None, config_path="conf", config_name="sweep")
def main(cfg: DictConfig) -> None:
    """Entry point."""
    sys.exit(sweep(to_typed(cfg, SweepConfig), Console(soft_wrap=True)))


def sweep(config: SweepConfig, console: Console, *, trainable: type[Trainable] | None = None) -> int:
    """Run a sweep, or go on with it; returns the exit code. Raises ValueError for what the user must mend.

    All that can be wrong is found before Ray starts and the record is opened, so that a mistake leaves no trace. Raises
    RecordFault if the record is away, full, damaged or another driver's; what was acknowledged is in it.
    """
    plan = make_plan(config, shlex.join(["python", "-m", "experiments.sweep", *sys.argv[1:]]))
    introduce(plan, console)
    _begin_to_import("torch")
    with connected(config.ray):
        # Only now: a mistake is told sooner without Ray Tune and torch, and Ray has started meanwhile.
        from experiments.conduct import conduct

        return conduct(plan, Stopping(), console, trainable)


def _begin_to_import(name: str) -> None:
    """In a thread, while this one waits for Ray; whoever imports it next waits for the rest."""
    threading.Thread(target=importlib.import_module, args=[name]).start()


if __name__ == "__main__":
    run_entry_point(main)
