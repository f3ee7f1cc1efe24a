"""The overhead benchmark: paces, growth, its table, and the platform's side run for real."""

import io

import numpy as np
import pytest
from rich.console import Console

from benchmarks.memory_curve import draw, growth_mib
from benchmarks.overhead import OPTUNA, PLATFORM, RAY, Overhead, best, measure, overhead, overhead_table, pace


def told_every(seconds: float, trials: int = 40) -> dict:
    ends = [12 + seconds * index for index in range(trials)]
    cpu = [seconds / 2 * index for index in range(trials)]
    return {"begun": 2.0, "ray_ready": 6.0, "first_start": 11.5, "ends": ends, "cpu": cpu}


def samples(mib_a_trial: float, peak: float = 0.0) -> list[dict[str, float]]:
    trials = np.arange(0, 2000, 100)
    own = 300 + mib_a_trial * trials + 50 * (trials < 100)  # what is loaded once
    own[-1] += peak
    return [{"trials": t, "time": t / 20, "rss": o + 100, "own": o} for t, o in zip(trials, own, strict=True)]


def test_a_run_is_told_by_its_moments():
    assert overhead(told_every(0.04)) == Overhead(
        ray_s=4.0, start_s=9.5, result_s=10.0, trial_s=pytest.approx(0.04), trial_cpu_s=pytest.approx(0.02)
    )


def test_trials_that_end_together_do_not_hide_the_pace():
    pairs = [index // 2 * 0.5 for index in range(40)]
    assert pace(pairs) == pytest.approx(0.25)


@pytest.mark.parametrize("peak", [0.0, 400.0])
def test_growth_is_that_of_most_of_the_run(peak):
    assert growth_mib(samples(0.1, peak)) == pytest.approx(100)
    assert growth_mib(samples(0.0, peak)) == pytest.approx(0, abs=1e-6)


def test_the_curve_is_drawn(tmp_path):
    draw(samples(0.01), tmp_path / "memory.png")
    assert (tmp_path / "memory.png").read_bytes().startswith(b"\x89PNG")


def test_the_table_fits_a_terminal_and_tells_ratios():
    runs = {side: [overhead(told_every(pace_s))] for side, pace_s in ((PLATFORM, 0.04), (RAY, 1.0), (OPTUNA, 0.02))}
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(overhead_table(runs))
    text = console.export_text()
    assert [word in text for word in ("plain Ray Tune", "25.00x", "0.50x", "1.00x", "CPU")] == [True] * 5
    assert "…" not in text


def test_the_least_of_each_number_counts():
    quick, slow = overhead(told_every(0.04)), overhead(told_every(0.08))
    assert best([slow, quick]) == quick


@pytest.mark.ray
def test_the_platform_runs_and_tells_its_moments(tmp_path):
    told = measure(PLATFORM, 8, [], tmp_path)
    assert told["begun"] < told["ray_ready"] < told["first_start"] < told["ends"][0]
    assert len(told["ends"]) == len(told["cpu"]) == 8
    assert sorted(told["ends"]) == told["ends"]
    assert told["memory"][-1]["trials"] == 8
    assert told["memory"][-1]["own"] > 50


def test_a_side_that_fails_is_told_with_its_last_words(tmp_path):
    with pytest.raises(RuntimeError, match=r"(?s)platform failed with exit code 1: .*colour"):
        measure(PLATFORM, 8, ["colour=red"], tmp_path)
