"""What the terminal shows at the end of a sweep."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from synthetic_study import STUDY, realistic, results, trial

from analysis.frame import variant_frame
from analysis.tables import front_table
from analysis.words import accuracy_text, difference_text, noise_sentence, summary


def frame_of(found):
    return variant_frame(found.study, found.trials, found.architectures)


def printed(found, width=120):
    console = Console(width=width, file=io.StringIO())
    console.print(front_table(frame_of(found)))
    return console.file.getvalue()


def study_of_three():
    """Baseline arch01 at 70, a dearer and better arch02 at 75, a dearer and worse arch03 at 65."""
    shifts = {1: 0.0, 2: 0.05, 3: -0.05}
    return results([trial(a, s, 0.70 + shift + 0.001 * s) for a, shift in shifts.items() for s in (0, 1)])


def test_table_holds_the_front_and_the_baseline_with_verdicts():
    text = printed(study_of_three())
    assert "idconv_groups=2 (baseline)" in text
    assert "idconv_groups=3" in text
    assert "idconv_groups=4" not in text
    assert "75.05 ± " in text
    assert "better" in text


def test_a_baseline_off_the_front_is_shown_and_said_to_be():
    found = results([trial(0, 0, 0.75), trial(1, 0, 0.70)])
    assert "not on the front" in printed(found, width=160)
    assert "not on the front" not in printed(study_of_three(), width=160)


@pytest.mark.parametrize("width", [80, 100, 160])
def test_numbers_and_verdicts_are_never_cut(width):
    found = realistic()
    text = printed(found, width)
    shown = [row for row in frame_of(found).to_dict("records") if row["is_baseline"] or accuracy_text(row) in text]
    assert len(shown) == 3
    for row in shown:
        assert f"{accuracy_text(row)} " in text
        assert f"{difference_text(row)} " in text
        assert f"{row['params_m']:.2f} " in text
    assert text.count("inconclusive") == 2
    assert "seeds)" in text
    assert max(map(len, text.splitlines())) <= width


def test_square_brackets_in_a_label_are_not_markup():
    assert "[bold]" in printed(results([trial(1, 0, 0.7, variant={"a": "[bold]"})]))


def test_the_sentence_on_noise_tells_the_smallest_visible_difference():
    # Two comparisons, 3 degrees of freedom: t is 4.177; the noise of pairs 0.1 points apart is 0.1 / sqrt(2).
    assert noise_sentence(frame_of(study_of_three())) == (
        "With seed noise of 0.07 points over 2 seeds, only differences of at least 0.3 points can be seen."
    )
    assert "one seed" in noise_sentence(frame_of(realistic(seeds=1)))
    assert "No trial is complete" in noise_sentence(frame_of(results([trial(1, 0, None)])))
    same = results([trial(1, 0, 0.7), trial(1, 1, 0.7)])
    assert "All seeds gave the same accuracy" in noise_sentence(frame_of(same))


def test_summary_tells_leader_verdicts_noise_front_and_caution():
    text = " ".join(summary(STUDY, frame_of(study_of_three())))
    assert "3 variants of idconv_groups with 2 seeds each; trials: 6 complete." in text
    assert "Highest mean accuracy: idconv_groups=3 with 75.05 ± " in text
    assert "Against the baseline: 1 better, 1 worse" in text
    assert "seed noise of 0.07 points" in text
    assert "On the front of validation accuracy against multiply-adds" in text
    assert "Caution: photos checks" in text


def test_summary_does_not_crown_a_leader_that_noise_explains():
    assert "its lead is not established" in " ".join(summary(STUDY, frame_of(realistic())))
    assert "its lead is not established" not in " ".join(summary(STUDY, frame_of(study_of_three())))


def test_summary_without_a_complete_trial_says_what_there_is():
    text = " ".join(summary(STUDY, frame_of(results([trial(1, 0, None)]))))
    assert text.startswith("No trial of this study is complete: 1 failed.")
    assert summary(STUDY, frame_of(results([])))
