"""The CPU benchmark runs as a user would run it, and writes what it measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))  # benchmarks are not installed


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "benchmarks.step", *words], capture_output=True, text=True, cwd=ROOT)


def test_a_quick_run_measures_every_row_and_profiles_the_step(tmp_path: Path) -> None:
    out = tmp_path / "step.json"
    done = run("--quick", "--profile", "--kernels", "reference", "pytorch", "--out", str(out))
    assert done.returncode == 0, done.stderr
    written = json.loads(out.read_text())
    rows = {(m["mode"], m["row"]): m for m in written["measurements"]}
    assert set(rows) == {
        *(("train", row) for row in ("reference", "fused AdamW", "channels_last", "pytorch")),
        *(("infer", row) for row in ("reference", "channels_last", "pytorch")),
    }
    assert all(m["step_ms"] > 0 and m["peak_mib"] > 0 for m in rows.values())
    assert all(0 < rows[mode, "pytorch"]["error_ratio"] <= 3 for mode in ("train", "infer"))
    assert rows["train", "reference"]["ratio"] == 1
    assert rows["train", "pytorch"]["peak_mib"] > rows["infer", "pytorch"]["peak_mib"]
    assert list(written["profiles"]) == ["proxy_quick reference", "proxy_quick pytorch"]
    assert "convolution_backward" in done.stdout
    assert written["threads"] == 1
    assert written["machine"]["cores"] >= 1


@pytest.mark.parametrize(
    ("option", "rule"), [("--cases", "a case must be one of"), ("--kernels", "kernels must be one of")]
)
def test_an_unknown_name_is_told_in_one_line(option: str, rule: str, capsys: pytest.CaptureFixture[str]) -> None:
    with mock.patch.dict(os.environ):  # what it sets is for its own process
        from benchmarks.step import main
    assert main([option, "nope"]) == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith(f"benchmarks.step: {rule}")
    assert error.count("\n") == 1
