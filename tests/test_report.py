"""The report's files: whole, offline, safe, and true to the record."""

from __future__ import annotations

import dataclasses
import errno
import json
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import pytest
from PIL import Image
from synthetic_study import STUDY, Results, realistic, results, trial

from analysis.curve_plot import curve_figure, drawn_trials
from analysis.frame import variant_frame
from analysis.front import front_of
from analysis.page_html import report_html
from analysis.picture import front_png
from analysis.report import read_report, write_report
from db.records import StudyRecord, TrialState
from db.store import Store

EVIL = "<script>alert(1)</script>"
CASES = {
    "eight variants": realistic(),
    "one seed each": realistic(seeds=1),
    "one variant": results([trial(1, 0, 0.7)]),
    "no baseline": results([trial(2, 0, 0.7), trial(3, 0, 0.8)]),
    "nothing complete": results([trial(1, 0, None, reason="loss is nan")]),
    "nothing at all": results([]),
    "120 variants": realistic(variants=120),
    "no recorded time": results([trial(1, 0, 0.7, train_seconds=None), trial(2, 0, 0.8, train_seconds=None)]),
}


def page_of(found: Results) -> str:
    return report_html(found, variant_frame(found.study, found.trials, found.architectures))


class Page(HTMLParser):
    """Tags with their attributes, and the text of each script and of all else."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.cdata_elem == "script":
            self.scripts[-1] += data
        elif self.cdata_elem != "style":
            self.text += data


@pytest.fixture(scope="module", params=CASES)
def case(request):
    return CASES[request.param]


def figures_of(page: Page) -> dict[str, dict]:
    return json.loads(page.scripts[0])


def test_every_study_has_a_page_a_picture_and_its_trials(case):
    frame = variant_frame(case.study, case.trials, case.architectures)
    page = Page(report_html(case, frame))
    rows = [attrs for tag, attrs in page.tags if tag == "tr"]
    assert len(rows) >= len(frame)
    assert front_png(frame, "title").startswith(b"\x89PNG")


def test_nothing_is_loaded_from_anywhere():
    html = page_of(CASES["eight variants"])
    page = Page(html)
    for tag, attrs in page.tags:
        assert not {"src", "href", "srcset", "action", "data"} & set(attrs), (tag, attrs)
    assert not [tag for tag, _ in page.tags if tag in ("link", "iframe", "img", "object", "base")]
    style = re.findall(r"<style>(.*?)</style>", html, flags=re.S)
    assert style
    assert all("url(" not in text and "@import" not in text for text in style)
    policies = [attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy"]
    # The browser itself refuses every request, plotly.js's too.
    assert policies == [
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
    ]


def test_plotly_accepts_every_figure(case):
    page = Page(page_of(case))
    has_plots = any(attrs.get("id") == "figures" for _, attrs in page.tags)
    assert has_plots == any(record.state is TrialState.COMPLETE for record in case.trials)
    for figure in figures_of(page).values() if has_plots else ():
        go.Figure(figure)


def test_all_three_costs_have_a_visible_panel_with_every_variant():
    figures = figures_of(Page(page_of(CASES["eight variants"])))
    assert set(figures) == {"gmacs", "params", "train_time", "curves"}
    for cost in ("gmacs", "params", "train_time"):
        marks = [trace for trace in figures[cost]["data"] if "markers" in trace["mode"]]
        assert sum(len(trace["x"]) for trace in marks) == 6  # two of the eight have a stopped or failed seed
        baseline = next(trace for trace in marks if trace["name"] == "baseline")
        assert baseline["marker"]["symbol"] == "diamond"
        assert "idconv_groups=2 (baseline)" in baseline["hovertext"][0]
        assert "arch01" in baseline["hovertext"][0]
        assert "baseline" in figures[cost]["layout"]["annotations"][0]["text"]
        assert all(len(trace["error_y"]["array"]) == len(trace["x"]) for trace in marks)


def test_curves_are_means_over_complete_trials_and_dotted_if_stopped():
    found = results([trial(1, 0, 0.6), trial(1, 1, 0.8), trial(2, 0, None, state=TrialState.STOPPED, epochs_run=3)])
    curves = figures_of(Page(page_of(found)))["curves"]["data"]
    assert [len(curve["x"]) for curve in curves] == [3, 10]
    assert curves[0]["line"]["dash"] == "dot"
    share = 1 - 0.6 * 0.6**10
    assert curves[1]["y"][-1] == pytest.approx(70 * share)


def test_what_users_wrote_is_text_not_markup():
    study = dataclasses.replace(
        STUDY,
        name="evil",
        command=f"sweep {EVIL}",
        space={"name": EVIL, EVIL: EVIL},
        data={"name": "x", "fingerprint": EVIL, "caution": EVIL},
    )
    variant = {"label": EVIL}
    trials = [
        trial(1, 0, 0.7, study="evil", variant=variant),
        trial(2, 0, 0.8, study="evil", variant={"label": 'x" onclick="y'}),
        trial(3, 0, None, study="evil", variant={"label": "z"}, reason=EVIL),
    ]
    html = page_of(results(trials, study))
    page = Page(html)
    assert EVIL not in html
    assert len(page.scripts) == 3
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert page.text.count(EVIL) >= 5
    # plotly.js reads a small HTML of its own in texts.
    drawn = json.dumps(figures_of(page))
    assert "<script" not in drawn
    assert "&lt;script&gt;" in drawn


def test_page_tells_states_reasons_settings_provenance_and_commands():
    text = Page(page_of(CASES["eight variants"])).text
    for told in (
        "16 complete, 1 stopped, 1 failed",
        "loss is nan in epoch 1 at step 14",
        "Pareto rank 3 after epoch 3",
        "9c1185a5c5e9fc54",
        "label_smoothing",
        "width_scale",
        "1f3c9ab",
        "2.15.0",
        "python -m experiments.sweep space=idconv_groups",
        "python -m experiments.dashboard",
        "python -m experiments.export study=idconv_groups pick=best name=my_variant",
    ):
        assert told in text, told


def test_commands_name_the_storage_unless_it_is_the_default():
    elsewhere = dataclasses.replace(CASES["one variant"], storage_url="sqlite:////tmp/a b.db")
    assert "study=idconv_groups 'storage.url=sqlite:////tmp/a b.db'" in Page(page_of(elsewhere)).text
    assert "storage.url=" not in Page(page_of(CASES["one variant"])).text


def test_without_a_complete_trial_the_page_says_so_and_draws_nothing():
    page = Page(page_of(CASES["nothing complete"]))
    assert "No trial of this study is complete" in page.text
    assert "loss is nan" in page.text
    assert not any("data-figure" in attrs for _, attrs in page.tags)


def test_the_table_can_be_sorted_by_keyboard_and_by_number():
    html = page_of(CASES["eight variants"])
    heads = re.findall(
        r"<th [^>]*>(<button type=\"button\">)?", html.partition('class="sortable"')[2].partition("</thead>")[0]
    )
    assert heads
    assert all(heads)
    values = re.findall(r'<td class="number" data-value="([^"]*)"', html)
    assert all(value == "" or float(value) == float(value) for value in values)


def test_many_variants_hide_the_bars_of_the_crowd_alone():
    data = figures_of(Page(page_of(CASES["120 variants"])))["gmacs"]["data"]
    shown = {trace["name"]: trace["error_y"]["visible"] for trace in data if "error_y" in trace}
    assert shown == {"other variants": False, "front": True, "baseline": True}


def test_a_wide_range_of_costs_is_drawn_logarithmically():
    found = results([trial(1, 0, 0.7, train_seconds=1.0), trial(2, 0, 0.8, train_seconds=100.0)])
    layout = figures_of(Page(page_of(found)))["train_time"]["layout"]
    assert layout["xaxis"]["type"] == "log"
    assert layout["annotations"][0]["x"] == pytest.approx(0.0)
    frame = variant_frame(found.study, found.trials, found.architectures)
    assert front_png(frame, "title").startswith(b"\x89PNG")


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path / 'runs.db'}") as opened:
        fill(opened, realistic())
        yield opened


def fill(store: Store, found: Results, study: StudyRecord | None = None) -> None:
    """The study as a sweep stores it."""
    store.add_architectures(found.architectures.values())
    store.add_study(study or found.study)
    for record in found.trials:
        stored = store.add_trial(dataclasses.replace(record, id=None))
        for epoch in found.epochs:
            if epoch.trial_id == record.id:
                store.add_epoch(dataclasses.replace(epoch, trial_id=stored.id))


def test_write_report_writes_what_the_store_holds(store, tmp_path):
    files = write_report(store, STUDY.name, tmp_path / "deep" / "report")
    assert sorted(path.name for path in (tmp_path / "deep" / "report").iterdir()) == [
        "front.png", "report.html", "trials.csv", "variants.csv",
    ]  # fmt: skip
    assert "16 complete, 1 stopped, 1 failed" in files.html.read_text(encoding="utf-8")
    assert len(pd.read_csv(files.variants)) == 8
    assert len(pd.read_csv(files.trials)) == 18
    trials, variants = pd.read_csv(files.trials), pd.read_csv(files.variants)
    assert trials["choice.idconv_groups"].notna().all()
    assert set(trials["arch_id"]) == set(variants["arch_id"])
    means = trials[trials["state"] == "COMPLETE"].groupby("arch_id")["val_accuracy_pct"].mean()
    done = variants[variants["seeds"] > 0]
    assert done["val_accuracy_pct"].tolist() == pytest.approx(means[done["arch_id"]].tolist())
    assert variants.loc[variants["seeds"] == 0, "val_accuracy_pct"].isna().all()
    with Image.open(files.front) as picture:
        assert picture.width >= 1500


def test_a_second_report_replaces_the_first(store, tmp_path):
    first = write_report(store, STUDY.name, tmp_path).html.read_bytes()
    assert write_report(store, STUDY.name, tmp_path).html.read_bytes() == first


def test_an_unwritable_folder_is_refused(store, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"folder must be writable, got .*file.*out=FOLDER"):
        write_report(store, STUDY.name, tmp_path / "file" / "report")


def test_a_full_disk_is_not_the_folders_fault(store, tmp_path, monkeypatch):
    def full(*words):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("analysis.report.write_whole", full)
    with pytest.raises(OSError, match="No space left"):
        write_report(store, STUDY.name, tmp_path)


def run_report(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "analysis.report", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_command_writes_prints_and_leaves_nothing_else(store, tmp_path):
    done = run_report(tmp_path, f"study={STUDY.name}", "storage.url=sqlite:///runs.db")
    assert done.returncode == 0, done.stderr
    folder = Path("runs") / STUDY.name / "report"
    for name in ("report.html", "variants.csv", "trials.csv", "front.png"):
        assert str(folder / name) in done.stdout
        assert (tmp_path / folder / name).stat().st_size > 0
    assert "Front of validation accuracy against multiply-adds" in done.stdout
    assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} == {"runs.db", "runs"}


# A study of very many variants.


@pytest.fixture(scope="module")
def many() -> tuple[Results, pd.DataFrame]:
    """More variants, stopped and failed trials than a page can list."""
    found = realistic(variants=2_600)
    ended = [
        trial(place, 8, None, state=TrialState.STOPPED, epochs_run=1, reason="stopped early by the scheduler")
        if place % 3
        else trial(place, 8, None, reason="loss is nan")
        for place in range(100, 400)
    ]
    ended = [dataclasses.replace(record, id=10**6 + place) for place, record in enumerate(ended)]
    found = results([*found.trials, *ended])
    return found, variant_frame(found.study, found.trials, found.architectures)


@pytest.fixture(scope="module")
def many_page(many) -> Page:
    return Page(report_html(*many))


def test_a_long_table_lists_the_most_accurate_the_front_and_the_baseline_and_says_so(many, many_page):
    _, frame = many
    front = frame[front_of(frame, STUDY.objectives) | frame["is_baseline"]]
    assert "The 500 most accurate of 2,600 variants" in many_page.text
    assert "variants.csv beside this page has all 2,600" in many_page.text
    for label in [*front["label"], *frame["label"][:500]]:
        assert label in many_page.text
    assert sum(tag == "small" for tag, _ in many_page.tags) < 1_200  # one an id, one a verdict's note


def test_too_many_points_are_counted_in_cells_and_none_is_left_out(many, many_page):
    _, frame = many
    for panel in ("gmacs", "params", "train_time"):
        [shading] = [trace for trace in figures_of(many_page)[panel]["data"] if trace["type"] == "heatmap"]
        counts = [int(text.split(" ")[0].replace(",", "")) for row in shading["text"] for text in row if text]
        points = sum(len(t["x"]) for t in figures_of(many_page)[panel]["data"] if t.get("mode", "").startswith("mark"))
        assert sum(counts) + points == (frame["seeds"] > 0).sum()
        assert (len(shading["x"]), len(shading["y"])) == (len(shading["z"][0]) + 1, len(shading["z"]) + 1)
        assert min(shading["y"]) >= 60
    assert "the darker, the more of them" in many_page.text


def test_a_few_points_are_drawn_each():
    figures = figures_of(Page(page_of(CASES["120 variants"])))
    assert {trace["type"] for figure in figures.values() for trace in figure["data"]} == {"scatter"}
    assert (
        sum(len(trace["x"]) for trace in figures["gmacs"]["data"] if trace["mode"] != "lines") == 118
    )  # two have no mean


def test_of_many_curves_some_are_drawn_and_the_epochs_of_others_are_not_read(many, many_page):
    found, frame = many
    ids = drawn_trials(found, frame)
    owners = {record.id: record for record in found.trials}
    states = Counter(owners[trial_id].state for trial_id in ids)
    assert 100 <= states[TrialState.COMPLETE] / 2 <= 120
    assert states[TrialState.STOPPED] == 100
    assert {owners[trial_id].arch_id for trial_id in ids} >= {STUDY.baseline_arch_id}
    assert "100 of 2,298 variants, evenly over their ranks and 100 of 201 stopped trials" in many_page.text
    some = dataclasses.replace(found, epochs=[epoch for epoch in found.epochs if epoch.trial_id in set(ids)])
    assert curve_figure(some, frame)["data"]


def test_of_a_few_curves_all_are_drawn():
    found = CASES["eight variants"]
    ids = drawn_trials(found, variant_frame(found.study, found.trials, found.architectures))
    without_mean = {"arch02", "arch03"}  # a seed of each was stopped or failed
    drawn = [r.id for r in found.trials if r.state is TrialState.COMPLETE and r.arch_id not in without_mean]
    assert sorted(ids) == sorted([*drawn, *(r.id for r in found.trials if r.state is TrialState.STOPPED)])


def test_many_trials_without_a_result_are_counted_by_reason(many_page):
    assert "302 without a result, which count in no average: the first 200, trials.csv beside this page has all" in (
        " ".join(many_page.text.split())
    )
    assert "200stoppedstopped early by the scheduler 100failedloss is nan" in " ".join(many_page.text.split())


def test_the_page_of_many_variants_stays_small(many):
    assert len(report_html(*many)) < 8_000_000  # of which plotly.js is five


def test_the_report_reads_the_epochs_that_it_draws(store):
    found, _ = read_report(store, STUDY.name)
    assert {epoch.trial_id for epoch in found.epochs} == set(drawn_trials(*read_report(store, STUDY.name)))
    assert len(found.epochs) == 6 * 2 * 10 + 3
