"""What a record holds, as the command line tells it."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from db_examples import architecture, complete, study, trial, with_study
from rich.console import Console

from analysis.studies import StudiesConfig, main, tell
from analysis.study_tables import duration_text
from db import StorageConfig, Store, TrialState
from space.cli import run_entry_point


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/test.db"
    with Store.open(url) as store:
        with_study(store)
        space = {"name": "[red]mine[/]"}
        fidelity = {"image_size": 32, "width_scale": 0.5, "depth_scale": 1.0, "epochs": 2}
        store.add_study(study("other", space=space, fidelity=fidelity, baseline_arch_id="other"))
        store.add_trial(complete(val_accuracy=0.6543, train_seconds=7300.0))
        for seed in range(2):
            store.add_trial(trial(state=TrialState.FAILED, seed=seed, reason="loss is [nan]", epochs_run=1))
    return url


def told(url: str, name: str | None = None) -> str:
    console = Console(width=80, file=io.StringIO())
    tell(StudiesConfig(StorageConfig(url), name), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def command(*words: str, monkeypatch: pytest.MonkeyPatch) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["analysis.studies", *words])
    with pytest.raises(SystemExit) as ended:
        run_entry_point(main)
    return ended.value.code


def test_every_study_is_listed_with_what_it_is_and_what_came_of_it(url: str) -> None:
    text = told(url)
    assert "2 studies in sqlite" in text
    for word in ("groups", "photos", "1 complete", "2 failed", "65.43", "2.0 h", "32 px", "width x0.5", "2 epochs"):
        assert word in text
    assert "[red]mine[/]" in text  # names are text, not markup
    assert "depth x" not in text  # what is not scaled is left out
    assert max(map(len, text.splitlines()[1:])) <= 80


def test_one_study_is_told_with_the_reasons_of_what_failed(url: str) -> None:
    text = told(url, "groups")
    assert "validation accuracy against multiply-adds" in text
    assert "python -m experiments.sweep" in text
    assert [line.split() for line in text.splitlines() if "[nan]" in line] == [["2", "failed", "loss", "is", "[nan]"]]
    assert "other" not in text


def test_a_study_without_trials_is_told_without_numbers(url: str) -> None:
    text = told(url, "other")
    assert "none yet" in text
    assert "without a result" not in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0 s"), (119.0, "119 s"), (120.0, "2.0 min"), (7200.0, "2.0 h"), (2e6, "23.1 days")]
)
def test_durations_are_told_in_a_unit_that_people_use(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_a_record_that_is_not_there_is_told_in_one_line_and_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(f"storage.url=sqlite:///{tmp_path}/none.db", monkeypatch=monkeypatch) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: no database of sweeps at sqlite:///")
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_unknown_study_is_answered_with_the_nearest(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(f"storage.url={url}", "study=group", monkeypatch=monkeypatch) == 2
    assert "did you mean groups?" in capsys.readouterr().err


def test_help_tells_what_can_be_written(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--help", monkeypatch=monkeypatch) in (0, None)
    assert "python -m analysis.studies [study=NAME]" in capsys.readouterr().out


def test_architectures_alone_are_no_study(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/empty.db"
    with Store.open(url) as store:
        store.add_architectures([architecture()])
    assert "0 studies" in told(url)
