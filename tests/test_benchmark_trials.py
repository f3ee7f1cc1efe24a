"""The benchmark of trials runs from end to end, and its clock accounts for a trial's whole time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent))  # benchmarks are not installed

from benchmarks import timed_trial, trials
from benchmarks.timed_trial import PARTS, Clock
from benchmarks.trials import SLOT, Measured

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What a tiny run printed and wrote."""
    folder = tmp_path_factory.mktemp("benchmark")
    out = folder / "runs" / "trials.json"
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.trials", "--quick", "--out", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(out.read_text())


def test_it_prints_and_writes_the_pace_of_each_stack(told):
    said, written = told
    runs = written["sizes"]["16"]
    assert {"platform", "obvious stack"} < runs.keys()
    for name, (run,) in runs.items():
        assert name in said
        assert run["trials"] == 2
        assert run["trials_per_hour"] == pytest.approx(3600 * 2 / run["seconds"])
        assert 0 <= run["val_accuracy"] <= 1
    assert written["machine"]["cores"] >= 1
    assert written["date"]
    assert written["code"]


def test_the_parts_of_a_platforms_run_are_its_whole_time(told):
    (run,) = told[1]["sizes"]["16"]["platform"]
    assert run["shares"].keys() == {*PARTS, *SLOT}
    assert sum(run["shares"].values()) == pytest.approx(1)
    for part in ("forward", "backward", "optimiser", "data", "evaluation", "build"):
        assert run["shares"][part] > 0, part
    assert run["shares"]["forward"] + run["shares"]["backward"] > run["shares"]["data"]
    assert all(share > -0.01 for share in run["shares"].values())


def test_overhead_is_told_of_the_whole_time_and_apart_from_evaluation_and_ends(told):
    (run,) = told[1]["sizes"]["16"]["platform"]
    shares = run["shares"]
    work = shares["forward"] + shares["backward"] + shares["optimiser"]
    assert run["overhead"] == pytest.approx(1 - work)
    assert run["overhead_apart"] == pytest.approx(1 - work / (1 - shares["evaluation"] - shares["ends"]))
    assert "overhead: no forward, backward, optimiser" in told[0]
    assert "the same of all but evaluation and ends" in told[0]


def test_each_run_is_told_as_it_ends_so_that_a_later_failure_loses_none(monkeypatch):
    def fails(work):
        raise RuntimeError("no")

    good = Measured(2, 10.0, 1.0, 0.5)
    monkeypatch.setattr(trials, "stacks", lambda cores: {"good": lambda work: good, "bad": fails})
    kept = []
    with pytest.raises(RuntimeError, match="no"):
        trials.compare(trials.Work((), 2), 1, 2, lambda line, results: kept.append(list(results["good"])))
    assert kept == [[good]]


def test_a_part_inside_another_one_is_counted_once(monkeypatch):
    seconds = iter([10, 13, 20, 25])  # when a part begins or ends that no other one holds
    monkeypatch.setattr(timed_trial, "now", lambda: next(seconds))
    clock = Clock()
    inner = clock.timed("forward", lambda: None)
    outer = clock.timed("evaluation", inner)
    outer()
    inner()
    assert clock.seconds == {"evaluation": 3, "forward": 5}
