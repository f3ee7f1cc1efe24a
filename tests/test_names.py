"""Names are plain, and no path that is made of one leaves its root."""

from __future__ import annotations

import dataclasses
import sqlite3
import sys
from pathlib import Path

import pytest
from db_examples import with_study

from analysis.files import folder_below
from analysis.report import default_folder, write_report
from db import Store, check_name
from space.cli import run_entry_point
from space.names import check_space_name
from space.presets import load_preset, preset_names
from transxnet.registry import check_variant_name

ADMITTED = ["a", "A-1_b.c", "..a", "-", "x" * 64, "2024"]
REFUSED = [
    *(
        "",
        ".",
        "..",
        "../x",
        "/etc/x",
        "a/b",
        "a\\b",
        "a b",
        "x" * 65,
        "a\n",
        "\na",
        "ä",
        "a\0b",
        "~",
        "$HOME",
        "a;b",
        "%2e",
    ),
    *("a:b", "C:x", "*", "{a}", "\u202ea", "a\u200b"),
]


@pytest.mark.parametrize("name", ADMITTED)
def test_a_plain_name_is_taken(name: str) -> None:
    assert check_name("study", name) == name
    check_space_name(name)


@pytest.mark.parametrize("name", REFUSED)
def test_any_other_name_is_refused_with_one_that_would_do(name: str) -> None:
    for check in (lambda name: check_name("study", name), check_space_name, check_variant_name):
        with pytest.raises(ValueError, match=r"must be .* got .*; try '") as caught:
            check(name)
        assert "\n" not in str(caught.value)
        check(str(caught.value).rpartition("try ")[2].strip("'"))


def test_a_space_has_a_plain_name() -> None:
    assert all(load_preset(name).name == name for name in preset_names())
    with pytest.raises(ValueError, match=r"the name of a space must be .* got '\.\./x'; try 'x'"):
        dataclasses.replace(load_preset("tiny_demo"), name="../x")


def test_a_folder_may_lie_behind_a_linked_root_but_not_behind_a_linked_name(tmp_path: Path) -> None:
    (tmp_path / "disk" / "study").mkdir(parents=True)
    (tmp_path / "runs").symlink_to(tmp_path / "disk")
    assert folder_below(tmp_path / "runs", "study", "report") == tmp_path / "runs" / "study" / "report"
    (tmp_path / "disk" / "inside").symlink_to(tmp_path / "disk" / "study")
    folder_below(tmp_path / "runs", "inside")
    (tmp_path / "disk" / "outside").symlink_to(tmp_path)
    (tmp_path / "disk" / "dangling").symlink_to(tmp_path / "none")
    for name in ("outside", "dangling", "..", str(tmp_path)):
        with pytest.raises(ValueError, match=r"must lie in .*; remove the link"):
            folder_below(tmp_path / "runs", name)


@pytest.mark.parametrize("link", ["", "/weights", "/report", "/checkpoints", "/.lock"])
@pytest.mark.usefixtures("shared_ray")
def test_a_sweep_writes_nothing_through_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], link: str
) -> None:
    from experiments.sweep import main

    (tmp_path / "elsewhere").mkdir()
    kept = tmp_path / "elsewhere" / "kept"
    kept.write_text("kept")
    place = tmp_path / "runs" / f"tiny_demo-digits{link}"
    place.parent.mkdir(parents=True)
    place.symlink_to(kept if place.name == ".lock" else tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    words = ["space=tiny_demo", "data=digits", "proxy.image_size=16", f"data.cache={tmp_path.parent / 'cache'}"]
    monkeypatch.setattr(sys, "argv", ["sweep", *words])
    with pytest.raises(SystemExit) as ended:
        run_entry_point(main)
    said = capsys.readouterr().err
    assert (ended.value.code, said.count("\n")) == (2, 1)
    assert "but a link leads to" in said
    assert kept.read_text() == "kept"
    assert list((tmp_path / "elsewhere").iterdir()) == [kept]
    assert not (tmp_path / "runs" / "transxnet.db").exists()


def test_a_study_that_a_database_names_leads_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with Store.open("sqlite:///x.db") as store:
        with_study(store)
    with sqlite3.connect("x.db") as connection:
        connection.execute("UPDATE tx_studies SET name = '../../there'")
    with Store.open("sqlite:///x.db") as store, pytest.raises(ValueError, match="study must be 1 to 64"):
        write_report(store, "../../there")
    assert {path.name.removesuffix("-shm").removesuffix("-wal") for path in tmp_path.rglob("*")} == {"here", "x.db"}


def test_a_report_writes_nothing_through_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "groups").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="but a link leads to"):
        default_folder("groups")
