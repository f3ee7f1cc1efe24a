"""A report on matched variants says by how much each was widened, and how near the baseline's cost they came."""

import dataclasses

import pytest
from synthetic_study import realistic, with_match

from analysis.frame import variant_frame
from analysis.matched import factor_text, matching_sentence
from analysis.page_html import report_html
from analysis.words import summary


def frame_of(found):
    return variant_frame(found.study, found.trials, found.architectures)


def test_each_variant_has_its_factor_and_the_baseline_has_one():
    rows = {row["label"]: row for row in frame_of(with_match()).to_dict("records")}
    assert rows["ffn=msffn (baseline)"]["width_factor"] == 1
    # 46, 96, 232, 464 or the like in place of 48, 96, 224, 448: a plain network costs less, and so becomes wider.
    assert 1.02 < rows["ffn=plain"]["width_factor"] < 1.05
    assert rows["ffn=plain"]["width_factor"] > rows["ffn=inverted_residual"]["width_factor"] > 1


@pytest.mark.parametrize(("match", "label"), [("gmacs", "multiply-adds"), ("params", "parameters")])
def test_the_head_of_the_report_says_how_variants_were_matched(match, label):
    found = with_match(match)
    frame = frame_of(found)
    base = frame.loc[frame["is_baseline"], {"gmacs": "gmacs", "params": "params_m"}[match]].iloc[0]
    departures = frame[{"gmacs": "gmacs", "params": "params_m"}[match]] / base - 1
    farthest = max(departures, key=abs)
    assert abs(farthest) <= 0.01
    told = (
        f"Variants are matched to the baseline's {label} within 1 % by width: from x1.00 to "
        f"x{frame['width_factor'].max():.2f}; farthest from the baseline {100 * farthest:+.1f} %; "
        "the proxies that were trained are matched within 0.0 %."
    )
    assert matching_sentence(found.study, frame) == told
    assert told in summary(found.study, frame)


def test_without_a_trial_of_the_baseline_nothing_is_said_of_departures():
    found = with_match()
    trials = [trial for trial in found.trials if trial.arch_id != found.study.baseline_arch_id]
    sentence = matching_sentence(found.study, frame_of(dataclasses.replace(found, trials=trials)))
    assert sentence.endswith("by width: from x1.01 to x1.03.")


def test_the_page_has_a_column_of_factors_where_variants_are_matched_and_nowhere_else():
    found = with_match()
    page = report_html(found, frame_of(found))
    factor = frame_of(found)["width_factor"].max()
    assert "Variants are matched to the baseline" in page
    assert f">{factor_text(factor)}<" in page.replace("\n", "")
    plain = realistic()
    assert frame_of(plain)["width_factor"].isna().all()
    assert "matched" not in report_html(plain, frame_of(plain)).split("<script")[0]
    assert matching_sentence(plain.study, frame_of(plain)) == ""
