"""What seeds allow to say: closed-form intervals, and few false alarms in simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.noise import (
    MOST_SEEDS,
    SeedNoise,
    Verdict,
    compare,
    difference_half_width,
    mean_half_width,
    pooled_noise,
)

# Student's t from printed tables: 0.975 at 8 degrees of freedom, and 0.9875 (two comparisons) at 8.
T_8 = 2.306
T_8_TWO = 2.752


def test_noise_pools_variances_by_their_degrees_of_freedom():
    noise = pooled_noise([1.0, 2.0, math.nan], [2, 4, 1])
    assert noise is not None
    assert noise.points == pytest.approx(math.sqrt((1 * 1 + 3 * 4) / 4))
    assert noise.degrees_of_freedom == 4


@pytest.mark.parametrize(("deviations", "seeds"), [([], []), ([math.nan] * 3, [1, 1, 0]), ([0.0, 0.0], [2, 2])])
def test_noise_is_unknown_without_two_seeds_that_differ(deviations, seeds):
    assert pooled_noise(deviations, seeds) is None
    assert mean_half_width(None, 3) is None


def test_intervals_have_their_closed_form():
    noise = SeedNoise(0.5, 8)
    assert mean_half_width(noise, 4) == pytest.approx(T_8 * 0.5 / 2, rel=1e-3)
    assert difference_half_width(noise, (2, 3), 1) == pytest.approx(T_8 * 0.5 * math.sqrt(1 / 2 + 1 / 3), rel=1e-3)
    assert difference_half_width(noise, (2, 2), 2) == pytest.approx(T_8_TWO * 0.5, rel=1e-3)


@pytest.mark.parametrize(
    ("difference", "points", "verdict"),
    [
        (2.0, 0.5, Verdict.BETTER),
        (-2.0, 0.5, Verdict.WORSE),
        (0.1, 0.1, Verdict.EQUAL),
        (0.4, 0.01, Verdict.EQUAL),
        (0.6, 0.01, Verdict.BETTER),
        (1.0, 0.5, Verdict.INCONCLUSIVE),
        (0.0, 0.5, Verdict.INCONCLUSIVE),
    ],
)
def test_verdict_follows_the_interval(difference, points, verdict):
    # With 8 degrees of freedom, 2 seeds each and 2 comparisons the half width is 2.752 * points.
    assert compare(difference, (2, 2), SeedNoise(points, 8), comparisons=2).verdict is verdict


def test_a_wider_margin_calls_more_differences_equal():
    noise = SeedNoise(0.1, 8)
    assert compare(0.6, (2, 2), noise, comparisons=2).verdict is Verdict.BETTER
    assert compare(0.6, (2, 2), noise, comparisons=2, margin=1.0).verdict is Verdict.EQUAL


def test_without_noise_all_is_inconclusive():
    comparison = compare(30.0, (1, 1), None, comparisons=1)
    assert comparison.verdict is Verdict.INCONCLUSIVE
    assert comparison.half_width is None
    assert comparison.more_seeds is None


@pytest.mark.parametrize("difference", [0.0, 0.2, -0.45, 1.0, 2.5])
def test_the_promised_seeds_are_the_fewest_that_settle(difference):
    points, comparisons = 1.0, 7

    def verdict(seeds: int) -> Verdict:
        noise = SeedNoise(points, (comparisons + 1) * (seeds - 1))
        return compare(difference, (seeds, seeds), noise, comparisons=comparisons).verdict

    now = compare(difference, (2, 2), SeedNoise(points, 8), comparisons=comparisons)
    assert now.verdict is Verdict.INCONCLUSIVE
    assert now.more_seeds is not None
    enough = 2 + now.more_seeds
    assert verdict(enough) is not Verdict.INCONCLUSIVE
    assert enough == 3 or verdict(enough - 1) is Verdict.INCONCLUSIVE


def test_hopeless_differences_promise_nothing():
    comparison = compare(0.25, (2, 2), SeedNoise(50.0, 8), comparisons=7)
    assert comparison.more_seeds is None
    assert MOST_SEEDS > 100


def test_equal_variants_raise_a_false_alarm_in_at_most_one_study_of_twenty():
    studies, variants, seeds = 800, 8, 3
    accuracies = np.random.default_rng(0).normal(70, 1.0, (studies, variants, seeds))
    alarms = sum(_alarms(study) for study in accuracies)
    # 5 % of 800 is 40; three standard deviations of chance above it.
    assert alarms <= 40 + 18
    # The test can fail: without the correction, each of seven comparisons would alarm alone.
    assert sum(_alarms(study, comparisons=1) for study in accuracies) > 80


def test_a_real_difference_is_found():
    accuracies = np.random.default_rng(1).normal(70, 0.3, (50, 8, 3))
    accuracies[:, 1] += 3
    assert all(_alarms(study) for study in accuracies)


def _alarms(study: np.ndarray, comparisons: int | None = None) -> bool:
    variants, seeds = study.shape
    noise = pooled_noise(study.std(axis=1, ddof=1).tolist(), [seeds] * variants)
    assert noise is not None
    differences = study[1:].mean(axis=1) - study[0].mean()
    half_width = difference_half_width(noise, (seeds, seeds), comparisons or variants - 1)
    # The largest difference decides, and its verdict is compare's own.
    largest = float(differences[np.abs(differences).argmax()])
    verdict = compare(largest, (seeds, seeds), noise, comparisons=comparisons or variants - 1).verdict
    assert (verdict in (Verdict.BETTER, Verdict.WORSE)) == (abs(largest) > half_width)
    return verdict in (Verdict.BETTER, Verdict.WORSE)
