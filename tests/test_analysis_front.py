"""The Pareto front against brute force; the knee and the best by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.front import best, front_of, knee, pareto_front
from analysis.metrics import COLUMNS, metric

# Few values, so that ties are common; nan is a variant without a result.
VALUE = st.sampled_from([0.0, 1.0, 2.0, 3.0, math.nan])


@given(st.lists(st.tuples(VALUE, VALUE, VALUE), max_size=12))
@settings(deadline=None, max_examples=200)
def test_front_is_what_brute_force_finds(rows):
    frame = pd.DataFrame(rows, columns=["gain", "cost", "time"], dtype=float)
    mask = pareto_front(frame, maximise=["gain"], minimise=["cost", "time"])
    assert mask.tolist() == [_is_undominated(row, rows) for row in rows]


def _is_undominated(row: tuple[float, ...], rows: list[tuple[float, ...]]) -> bool:
    signed = [(-r[0], r[1], r[2]) for r in rows if not any(map(math.isnan, r))]
    if any(map(math.isnan, row)):
        return False
    own = (-row[0], row[1], row[2])
    return not any(all(a <= b for a, b in zip(o, own, strict=True)) and o != own for o in signed)


def test_equal_points_both_stay():
    frame = pd.DataFrame({"gain": [1.0, 1.0, 0.5], "cost": [2.0, 2.0, 2.0]})
    assert pareto_front(frame, ["gain"], ["cost"]).tolist() == [True, True, False]


def test_a_front_of_no_columns_is_refused():
    with pytest.raises(ValueError, match="at least one column"):
        pareto_front(pd.DataFrame({"gain": [1.0]}), [], [])


def test_objectives_go_in_their_own_direction():
    frame = _frame([70, 71, 69], [1.0, 2.0, 1.5])
    assert front_of(frame, ["accuracy", "gmacs"]).tolist() == [True, True, False]
    with pytest.raises(ValueError, match=r"unknown metric 'gmac'; did you mean gmacs\?"):
        front_of(frame, ["accuracy", "gmac"])


def test_knee_is_farthest_above_the_chord():
    # From (1, 60) to (5, 80): at cost 2 the chord is at 65, at cost 3 it is at 70.
    assert knee(_frame([60, 75, 77, 80], [1, 2, 3, 5])) == 1
    assert knee(_frame([80, 77, 75, 60], [5, 3, 2, 1])) == 2


@pytest.mark.parametrize(
    ("accuracies", "costs", "expected"),
    [
        ([70.0], [1.0], 0),
        ([70.0, 80.0], [1.0, 2.0], 0),
        ([70.0, 80.0, math.nan], [1.0, 1.1, 0.1], 1),
        # All below the chord: no bend.
        ([60.0, 61.0, 80.0], [1.0, 4.0, 5.0], 0),
    ],
)
def test_without_a_bend_the_knee_is_the_most_accuracy_per_cost(accuracies, costs, expected):
    assert knee(_frame(accuracies, costs)) == expected


def test_best_is_the_most_accurate_and_cheaper_among_equals():
    assert best(_frame([70, 72, math.nan], [1, 2, 1])) == 1
    assert best(_frame([72, 72], [2, 1])) == 1


@pytest.mark.parametrize("choose", [best, knee])
def test_nothing_to_choose_from_is_refused(choose):
    with pytest.raises(ValueError, match="at least one complete trial"):
        choose(_frame([math.nan], [1.0]))


def test_metrics_are_found_by_name_column_and_record_field():
    assert metric("accuracy") is metric("val_accuracy") is metric("val_accuracy_pct")
    assert metric("params") is metric("params_m")
    assert metric("train_time") is metric("train_seconds")
    assert [entry.name for entry in COLUMNS.values() if entry.direction == "max"] == ["accuracy"]


def _frame(accuracies: list[float], costs: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"val_accuracy_pct": accuracies, "gmacs": costs}, dtype=float)
