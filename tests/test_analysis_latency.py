"""Latency in the conclusions: where it was measured, it is a cost like the others; elsewhere it is not there."""

from __future__ import annotations

import io
import math

import pytest
from PIL import Image
from rich.console import Console
from synthetic_study import Results, realistic, results, trial, with_latency

from analysis.frame import variant_frame
from analysis.front import front_of
from analysis.page_html import report_html
from analysis.picture import front_png
from analysis.tables import front_table
from analysis.trial_table import trial_frame
from analysis.words import accuracy_text, difference_text

MEASURED = with_latency(realistic())


def frame_of(found: Results):
    return variant_frame(found.study, found.trials, found.architectures)


def printed(found: Results, width: int = 120) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(front_table(frame_of(found), found.study.objectives))
    return console.file.getvalue()


def test_frames_hold_the_target_latency_in_milliseconds():
    frame = frame_of(MEASURED)
    assert dict(zip(frame["arch_id"], frame["latency_ms"], strict=True))["arch04"] == 21.0
    trials = trial_frame(MEASURED.study, MEASURED.trials, MEASURED.architectures)
    assert trials["latency_ms"].notna().all()


def test_where_latency_was_not_measured_the_column_is_empty():
    assert frame_of(realistic())["latency_ms"].isna().all()


def test_the_front_weighs_accuracy_against_latency():
    found = with_latency(results([trial(1, 0, 0.7), trial(2, 0, 0.6), trial(3, 0, 0.8)]))
    frame = frame_of(found)
    assert set(frame.loc[front_of(frame, found.study.objectives), "arch_id"]) == {"arch01", "arch03"}


def test_a_variant_that_was_not_measured_is_not_on_the_front():
    found = with_latency(results([trial(1, 0, 0.7)]))
    more = results([trial(1, 0, 0.7), trial(2, 0, 0.9)])
    frame = frame_of(Results(found.study, {**more.architectures, **found.architectures}, more.trials, [], ""))
    assert math.isnan(frame.loc[frame["arch_id"] == "arch02", "latency_ms"].item())
    assert set(frame.loc[front_of(frame, found.study.objectives), "arch_id"]) == {"arch01"}
    assert "–" in report_html(
        Results(found.study, more.architectures | found.architectures, more.trials, [], ""), frame
    )


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_table_has_room_for_latency(width):
    text = printed(MEASURED, width)
    assert "latency" in text
    assert "latency" not in printed(realistic(), width)
    for row in frame_of(MEASURED).to_dict("records"):
        if accuracy_text(row) in text:
            assert f"{row['latency_ms']:.2f} " in text
            assert f"{difference_text(row)} " in text
    assert max(map(len, text.splitlines())) <= width


def test_the_page_has_a_panel_a_column_and_the_settings():
    page = report_html(MEASURED, frame_of(MEASURED))
    for told in (
        'data-figure="latency"', ">latency (ms)<", "latency 21.00 ms", "device_name", "AMD EPYC",
        "Multiply-adds, parameters and latency are the target",
    ):  # fmt: skip
        assert told in page, told
    without = report_html(realistic(), frame_of(realistic()))
    assert "latency (ms)" not in without
    assert 'data-figure="latency"' not in without
    assert "Multiply-adds and parameters are the target" in without


def test_the_picture_grows_by_a_panel():
    def width(found: Results) -> int:
        return Image.open(io.BytesIO(front_png(frame_of(found), "title"))).width

    assert (width(realistic()), width(MEASURED)) == (1560, 2080)
