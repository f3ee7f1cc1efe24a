"""From records to rows: what counts, what is compared, how variants are called."""

from __future__ import annotations

import dataclasses
import math

import pandas as pd
import pytest
from synthetic_study import STUDY, architecture, realistic, results, trial

from analysis.frame import seed_noise, variant_frame
from analysis.front import best, front_of
from analysis.labels import choice_text, variant_labels
from analysis.trial_table import TRIAL_COLUMNS, trial_frame
from db.records import TrialState


def frame_of(found):
    return variant_frame(found.study, found.trials, found.architectures)


def row_of(frame, arch_id):
    return next(row for row in frame.to_dict("records") if row["arch_id"] == arch_id)


def test_a_variant_is_the_mean_of_its_complete_trials_in_percent():
    row = row_of(frame_of(results([trial(1, 0, 0.70), trial(1, 1, 0.71), trial(2, 0, 0.6)])), "arch01")
    assert row["val_accuracy_pct"] == pytest.approx(70.5)
    assert row["val_accuracy_pct_sd"] == pytest.approx(math.sqrt(0.5))
    assert row["val_accuracy_pct_ci95"] == pytest.approx(12.706 * math.sqrt(0.5) / math.sqrt(2), rel=1e-3)
    assert row["seeds"] == 2
    assert row["train_seconds"] == pytest.approx(11.45)
    assert row["gmacs"] == pytest.approx(1.8635)
    assert row["params_m"] == pytest.approx(12.66)
    assert row["proxy_gmacs"] == pytest.approx(0.093)
    assert row["is_baseline"]


@pytest.mark.parametrize("state", [s for s in TrialState if s is not TrialState.COMPLETE])
def test_only_complete_trials_enter_averages_fronts_and_rankings(state):
    # Even where the record holds an accuracy for it, an unfinished trial is not a result.
    tempting = trial(2, 0, 0.99, state=state, train_seconds=0.1)
    found = results([trial(1, 0, 0.70), trial(1, 1, 0.71), tempting])
    frame = frame_of(found)
    assert row_of(frame, "arch01")["val_accuracy_pct"] == pytest.approx(70.5)
    unfinished = row_of(frame, "arch02")
    assert math.isnan(unfinished["val_accuracy_pct"])
    assert math.isnan(unfinished["train_seconds"])
    assert unfinished["seeds"] == 0
    assert unfinished[state.value.lower()] == 1
    assert unfinished["verdict"] == ""
    assert frame["arch_id"].tolist() == ["arch01", "arch02"]
    assert front_of(frame, ["accuracy", "train_time"]).tolist() == [True, False]
    assert best(frame) == 0
    rows = trial_frame(found.study, found.trials, found.architectures)
    assert rows["val_accuracy_pct"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize("state", [TrialState.STOPPED, TrialState.FAILED])
def test_a_variant_of_which_a_seed_was_stopped_or_failed_has_no_mean(state):
    # The mean of those seeds that survived would flatter it.
    found = results([trial(1, 0, 0.70), trial(2, 0, 0.99), trial(2, 1, None, state=state)])
    row = row_of(frame_of(found), "arch02")
    assert math.isnan(row["val_accuracy_pct"])
    assert row["seeds"] == 0


@pytest.mark.parametrize("state", [TrialState.RUNNING, TrialState.INTERRUPTED])
def test_a_seed_that_is_still_to_come_does_not_hide_those_that_are_complete(state):
    found = results([trial(1, 0, 0.70), trial(2, 0, 0.80), trial(2, 1, None, state=state)])
    assert row_of(frame_of(found), "arch02")["val_accuracy_pct"] == pytest.approx(80)


def test_a_seed_counts_once():
    twice = trial(1, 0, 0.70, id=77, reused_from=1)
    assert row_of(frame_of(results([trial(1, 0, 0.70), twice])), "arch01")["seeds"] == 1


def test_trials_of_another_study_are_refused():
    with pytest.raises(ValueError, match="trials of one study, got one of 'other'"):
        frame_of(results([trial(1, 0, 0.7), trial(2, 0, 0.7, study="other")]))


def test_trials_of_another_recipe_data_or_fidelity_are_refused():
    mixed = trial(1, 0, 0.8, spec_key="spec-with-another-recipe")
    with pytest.raises(ValueError, match="share recipe, data and fidelity, got two specifications of network proxy01"):
        frame_of(results([trial(1, 0, 0.7), mixed]))


def test_complete_without_accuracy_is_refused():
    with pytest.raises(ValueError, match="a COMPLETE trial needs an accuracy, got none in trial 5"):
        frame_of(results([trial(1, 0, None, state=TrialState.COMPLETE, id=5)]))


def test_the_most_accurate_comes_first():
    accuracies = frame_of(realistic())["val_accuracy_pct"]
    assert accuracies.dropna().is_monotonic_decreasing
    assert accuracies.isna().tolist() == [False] * 6 + [True] * 2  # those with a stopped or a failed seed


def test_verdicts_compare_with_the_baseline_under_pooled_noise():
    trials = [
        trial(a, s, 0.70 + shift + 0.001 * s)
        for a, shift in ((0, 0.05), (1, 0.0), (2, -0.05), (3, 0.0))
        for s in (0, 1)
    ]
    frame = frame_of(results(trials))
    assert [row_of(frame, f"arch0{n}")["verdict"] for n in range(4)] == [
        "better",
        "",
        "worse",
        "no practical difference",
    ]
    better = row_of(frame, "arch00")
    assert better["difference_points"] == pytest.approx(5)
    # t at 1 - 0.05 / 6 and 4 degrees of freedom is 3.961; the noise of a pair 0.1 points apart is 0.1 / sqrt(2).
    assert better["difference_ci95"] == pytest.approx(3.961 * 0.1 / math.sqrt(2), rel=1e-3)


def test_with_one_seed_everything_is_inconclusive_and_says_so():
    frame = frame_of(realistic(variants=8, seeds=1))
    rivals = frame[~frame["is_baseline"] & (frame["seeds"] > 0)]
    assert len(rivals) == 5
    assert set(rivals["verdict"]) == {"inconclusive"}
    assert set(rivals["verdict_note"]) == {"needs a second seed"}
    assert frame["val_accuracy_pct_ci95"].isna().all()


def test_without_the_baseline_nothing_is_compared():
    frame = frame_of(results([trial(2, 0, 0.7), trial(2, 1, 0.71), trial(3, 0, 0.8)]))
    assert set(frame["verdict"]) == {""}


def test_a_variant_that_the_proxy_makes_the_baseline_is_no_second_witness():
    same = [trial(2, s, 0.70 + 0.01 * s, trained_arch_id="proxy01", spec_key=f"spec-1-{s}") for s in (0, 1)]
    found = results([trial(1, 0, 0.70), trial(1, 1, 0.71), *same])
    frame = frame_of(found)
    row = row_of(frame, "arch02")
    assert (row["verdict"], row["verdict_note"]) == ("inconclusive", "equals the baseline at the proxy's size")
    noise = seed_noise(frame)
    assert noise is not None
    assert noise.degrees_of_freedom == 1


def test_an_empty_study_is_an_empty_frame():
    frame = frame_of(results([]))
    assert frame.empty
    assert {"label", "verdict", "val_accuracy_pct_ci95"} <= set(frame.columns)


def test_labels_tell_the_dimensions_that_vary_and_the_baseline():
    trials = [
        trial(1, 0, 0.7, variant={"idconv_groups": 2, "depth": [3, 3, 9, 3]}),
        trial(2, 0, 0.7, variant={"idconv_groups": [2, 2, 3, 4], "depth": [3, 3, 9, 3]}),
    ]
    assert variant_labels(STUDY, trials) == {"arch01": "idconv_groups=2 (baseline)", "arch02": "idconv_groups=2-2-3-4"}


def test_a_choice_for_each_stage_is_told_as_one():
    stages = [f"osr_stride.stage{number}" for number in (1, 2, 3, 4)]
    variants = [dict(zip(stages, choices, strict=True)) for choices in ("8421", "4212")]
    trials = [trial(n, 0, 0.7, variant={**v, "heads.stage1": str(n)}) for n, v in enumerate(variants, start=2)]
    assert list(variant_labels(STUDY, trials).values()) == [
        "osr_stride=4-2-1-2, heads.stage1=3", "osr_stride=8-4-2-1, heads.stage1=2",
    ]  # fmt: skip


def test_labels_are_unique_and_never_empty():
    trials = [trial(n, 0, 0.7, variant={}) for n in (1, 2)]
    assert variant_labels(STUDY, trials) == {"arch01": "arch01 (baseline)", "arch02": "arch02"}
    same = [trial(n, 0, 0.7, variant={"a": 1}) for n in (2, 3)]
    assert len(set(variant_labels(STUDY, same).values())) == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [(4, "4"), (2.0, "2"), (0.25, "0.25"), ([2, 2, 3, 4], "2-2-3-4"), ([[1, 3], [1, 5]], "1-3|1-5"), ("x", "x")],
)
def test_choices_are_short_words(value, text):
    assert choice_text(value) == text


def test_a_trial_row_holds_what_the_record_holds():
    found = results([trial(2, 7, None, reason="loss is nan", epochs_run=3)])
    row = trial_frame(found.study, found.trials, found.architectures).to_dict("records")[0]
    assert (row["state"], row["seed"], row["reason"], row["epochs_run"]) == ("FAILED", 7, "loss is nan", 3)
    assert row["gmacs"] == architecture("arch02", 2).macs / 1e9
    assert row["code_version"] == dataclasses.asdict(found.trials[0].provenance)["code_version"]


def test_a_trial_row_tells_each_choice_in_a_column_of_its_own():
    found = results([
        trial(1, 0, 0.7, variant={"seed": "3-3-9-3", "ratio": 0.1234567890123}),
        trial(2, 0, 0.7, variant={"seed": "2-2-8-2", "kernels": [3, 5]}),
        trial(3, 0, 0.7, variant={}),
    ])  # fmt: skip
    rows = trial_frame(found.study, found.trials, found.architectures)
    assert list(rows.columns) == [*TRIAL_COLUMNS, "choice.seed", "choice.ratio", "choice.kernels"]
    assert rows["seed"].tolist() == [0, 0, 0]
    assert [None if pd.isna(value) else value for value in rows["choice.seed"]] == ["3-3-9-3", "2-2-8-2", None]
    assert float(rows["choice.ratio"][0]) == 0.1234567890123
    assert rows["choice.kernels"][1] == "[3, 5]"


def test_a_study_without_trials_has_a_table_of_trials_without_rows():
    found = results([])
    assert list(trial_frame(found.study, found.trials, found.architectures).columns) == list(TRIAL_COLUMNS)
