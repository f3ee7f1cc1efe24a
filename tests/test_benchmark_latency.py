"""The benchmark of the latency table runs as a user would run it, and its errors are what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent))  # benchmarks are not installed

from benchmarks.latency import main
from benchmarks.on_latency.errors import Errors
from benchmarks.on_latency.networks import draw, predictable
from space.presets import load_preset
from transxnet.cost import LatencyTable

ROOT = Path(__file__).parent.parent


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.latency", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_a_quick_run_tells_errors_and_keeps_the_table(tmp_path: Path) -> None:
    out = tmp_path / "latency.json"
    done = run("--quick", "--out", str(out))
    assert done.returncode == 0, done.stderr
    for told in ("held-out", "rank correlation", "multiply-adds", "parts and 4 networks measured 1 times"):
        assert told in done.stdout, done.stdout
    written = json.loads(out.read_text())
    assert set(written["errors"]) == {"table", "multiply-adds"}
    assert written["errors"]["table"]["median_percent"] <= written["errors"]["table"]["max_percent"]
    assert len(written["held_out"]) == 2
    assert LatencyTable.from_dict(written["table"]).size == written["parts"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--space", "nope"], "unknown space 'nope'"),
        (["--kernels", "nope"], "kernels must be one"),
        (["--held-out", "1"], "held_out must be a whole number of at least 2, got 1"),
        (["--seed", "-1"], "seed must be a whole number of at least 0, got -1"),
        (["--out", "/dev/null/a"], "--out must be a file that can be written, got /dev/null/a (File exists)"),
    ],
)
def test_a_wrong_word_is_told_in_one_line_before_anything_is_measured(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["--out", str(tmp_path / "a.json"), *words]) == 2
    out, errors = capsys.readouterr()
    assert out == ""
    assert errors.startswith(f"benchmarks.latency: {said}")
    assert errors.count("\n") == 1


def test_errors_are_relative_to_what_was_measured() -> None:
    errors = Errors.of([11.0, 19.0, 30.0], [10.0, 20.0, 30.0])
    assert (errors.median_percent, errors.max_percent) == (pytest.approx(5), pytest.approx(10))
    assert errors.rank_correlation == 1


def test_held_out_networks_are_not_those_of_the_table() -> None:
    networks = draw(load_preset("idconv_groups"), 200, 5, seed=0, image_size=64)
    assert len(networks.held_out) == 2  # a third of eight at most
    assert len(networks.known) == 6
    assert not {arch.id for arch in networks.known} & {arch.id for arch in networks.held_out}
    assert all(arch.image_size == (64, 64) for arch in (*networks.known, *networks.held_out))


def test_networks_with_a_part_that_was_not_measured_are_left_out() -> None:
    archs = draw(load_preset("tiny_demo"), 50, 2, seed=0, image_size=None).known

    def refuse_first(arch: object) -> float:
        if arch is archs[0]:
            raise ValueError("not measured")
        return 1.0

    assert predictable(archs, refuse_first) == archs[1:]
