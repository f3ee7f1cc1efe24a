"""The benchmark of costs runs as a user would run it, and writes what it measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent))  # benchmarks are not installed

from benchmarks.cost import main

ROOT = Path(__file__).parent.parent


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "benchmarks.cost", *words], capture_output=True, text=True, cwd=ROOT)


def test_a_quick_run_holds_every_way_against_the_built_network(tmp_path: Path) -> None:
    out = tmp_path / "cost.json"
    done = run("--quick", "--points", "500", "--out", str(out))
    assert done.returncode == 0, done.stderr
    written = json.loads(out.read_text())
    assert [(row["way"], row["architectures"]) for row in written["rows"]] == [
        ("fvcore", 1), ("meta device", 1), ("one at a time", 20), ("columns made, too", 50), ("columns", 50),
        ("tables", 500), ("tables", 500), ("whole space, listed", 54 * 4**4),
    ]  # fmt: skip
    assert all(row["rate"] == row["architectures"] / row["seconds"] > 0 for row in written["rows"])
    assert written["rows"][-1]["peak_mib"] > 10
    rates = {row["way"]: row["rate"] for row in written["rows"]}
    assert rates["tables"] > rates["columns"] > rates["one at a time"] > rates["fvcore"]
    assert done.stdout.splitlines()[-1] == str(out)
    assert "500 of everything" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--points", "0"], "points must be at least 1, got 0"),
        (["--out", "/dev/null/a"], "--out must be a file that can be written, got /dev/null/a (File exists); "
                                   "choose another"),
    ],
)  # fmt: skip
def test_a_wrong_word_is_told_in_one_line_before_anything_is_measured(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert capsys.readouterr() == ("", f"benchmarks.cost: {said}\n")
