"""How the suite is shared out over two processes: which files stay together, and which come first."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

WORKERS = 2

RAY = "ray"
"""The group of all files that share one Ray."""
OWN_RAYS = "rays"
"""The group of all files with tests that start a Ray, or several: one of them at a time is enough for two cores."""
GROUPS = {RAY: re.compile(r"\bshared_ray\b"), OWN_RAYS: re.compile(r"\bmark\.ray\b")}

LONGEST = (
    OWN_RAYS, "test_kernels.py", "test_cost_property.py", "test_operators.py", "test_native_kernels.py",
    "test_triton_kernels.py", "test_kernel_networks.py", "test_triton_compiled.py", "test_many_drivers.py",
    "test_cost.py", "test_benchmark_step.py", "test_benchmark_store.py", "test_benchmark_cost.py",
    "test_benchmark_latency.py", "test_export.py", "test_bad_input.py", RAY,
)  # fmt: skip
"""What takes long, begun first, and the many short files last, so that both processes end at about the same time. What
comes between the Rays takes about as long as the first of them: two at a time are in each other's way."""


def workers_for(config: pytest.Config) -> int:
    """Two for a folder, such as the whole suite; none for named files, which end sooner than two processes start."""
    return WORKERS if any(Path(word.split("::")[0]).is_dir() for word in config.args) else 0


def is_one_of_several(config: pytest.Config) -> bool:
    """Whether this process runs a part of the tests."""
    return hasattr(config, "workerinput")


@cache
def group_of(file: Path) -> str:
    """What one process runs in order: a file, whose fixtures are then made once, or all of a group."""
    text = file.read_text()
    return next((group for group, uses in GROUPS.items() if uses.search(text)), file.name)


def longest_first(items: list[pytest.Item]) -> None:
    """Sort tests by their group, and leave them as they are within it."""
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(group_of(item.path), len(LONGEST)))


def scheduler(config: pytest.Config, log: Any) -> Any:
    """Gives a whole group to the process that is free next. pytest-xdist's own groups fail with pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduler(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(config.rootpath / nodeid.split("::")[0])

    return Scheduler(config, log)
