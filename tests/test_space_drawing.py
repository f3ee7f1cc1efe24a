"""Histograms and bars show what was counted, and a picture is drawn wherever a limit lies."""

import numpy as np
import pytest

from space.blocks import bar, columns
from space.budget import Budget
from space.description import Description, count_text, share_text
from space.figure import picture_png, picture_svg
from space.histogram import histogram, number_of_steps
from space.presets import load_preset
from space.share import Share
from space.survey import survey


def test_a_bar_is_an_eighth_of_a_character_fine():
    assert bar(0.5, 4) == "██  "
    assert bar(1, 4) == "████"
    assert bar(0.40625, 4) == "█▋  "
    assert bar(0, 4) == "    "
    assert bar(1e-9, 4) == "▏   "  # what is there is seen


def test_columns_stand_on_the_last_line():
    assert columns([0, 0.5, 1, 0.75, 1e-9], 2) == ["  █▄ ", " ███▁"]


def test_each_cost_is_counted_once_and_in_its_step():
    found = histogram(np.array([1.0, 1.1, 1.9, 2.0]), 2)
    assert (found.counts.tolist(), found.edges.tolist(), found.is_log) == ([2, 2], [1.0, 1.5, 2.0], False)
    assert [found.place(cost) for cost in (0.5, 1, 1.5, 2)] == [-0.5, 0, 0.5, 1]


def test_costs_that_span_much_are_counted_in_steps_of_their_logarithm():
    found = histogram(np.array([1.0, 2, 50, 100]), 2)
    assert found.is_log
    assert found.edges == pytest.approx([1, 10, 100])
    assert found.counts.tolist() == [2, 2]
    assert found.place(10) == pytest.approx(0.5)


def test_one_cost_has_a_histogram_around_it():
    found = histogram(np.array([2.0, 2.0]), 3)
    assert found.counts.tolist() == [0, 2, 0]


def test_few_points_have_few_steps():
    assert [number_of_steps(points, 70) for points in (1, 4, 100, 10_000)] == [3, 6, 30, 70]


@pytest.mark.parametrize("limit", [1e-6, 0.0063, 1e6])
def test_a_picture_is_drawn_wherever_the_limit_lies(limit):
    space, budget = load_preset("tiny_demo"), Budget(max_gmacs=limit)
    told = Description(space, survey(space, budget=budget), budget)
    assert picture_png(told).startswith(b"\x89PNG")
    svg = picture_svg(told)
    assert svg == picture_svg(told)
    assert "baseline 0.0063" in svg
    assert f"budget {limit:g}" in svg


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0.0%"), (1, "100.0%"), (0.5, "50.0%"), (0.00001234, "0.001234%"), (0.99996, "100%")]
)
def test_a_share_is_told_in_percent(share, text):
    assert share_text(Share.exactly(share)) == text


@pytest.mark.parametrize(
    ("count", "text"), [(1_234_567, "1,234,567"), (2**64, "18,446,744,073,709,551,616 (1.8 × 10^19)")]
)
def test_a_count_is_exact_and_a_huge_one_a_power_of_ten_too(count, text):
    assert count_text(count) == text


def test_a_measured_share_lies_in_its_interval():
    for hits, tries in [(0, 10), (10, 10), (3, 10), (0, 0)]:
        share = Share.measured(hits, tries)
        assert 0 <= share.low <= share.value <= share.high <= 1
        assert not share.is_exact
    assert Share.measured(0, 1000).high < 0.005
