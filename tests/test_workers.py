"""The suite is shared out as its two processes need it: one Ray at a time, no file in both."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import workers

HERE = Path(__file__).parent
USERS_OF_RAY = {"test_killed_worker.py", "test_ray_run.py", "test_sweep_cli.py"}
STARTERS_OF_RAYS = {"test_benchmark_trials.py", "test_cluster.py", "test_killed_driver.py"}


def test_files_that_use_ray_are_two_groups_and_all_others_stand_alone() -> None:
    groups = {file.name: workers.group_of(file) for file in HERE.glob("test_*.py")}
    users, starters = (
        {name for name, group in groups.items() if group == one} for one in (workers.RAY, workers.OWN_RAYS)
    )
    assert users >= USERS_OF_RAY
    assert starters >= STARTERS_OF_RAYS
    assert all(group == name for name, group in groups.items() if name not in users | starters)


def test_what_begins_first_is_there() -> None:
    assert set(workers.LONGEST) - {workers.RAY, workers.OWN_RAYS} <= {file.name for file in HERE.glob("test_*.py")}


def test_the_scheduler_gives_a_group_to_one_process() -> None:
    config = SimpleNamespace(rootpath=HERE.parent, getvalue=lambda name: ["popen"] * workers.WORKERS)
    scope = workers.scheduler(config, None)._split_scope
    assert {scope(f"tests/{name}::test_x[a/b::c]") for name in USERS_OF_RAY} == {workers.RAY}
    assert scope("tests/test_arch.py::test_x") == "test_arch.py"
