"""A user's mistakes: each ends with one line that names the word or file, the rule and the remedy, and writes nothing.

To add one, add an entry to a table of the modules `bad_...`. `bad_input` says what an entry is and how it is run.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pytest
from bad_commands import EXPORTS, OTHERS, TRAINED
from bad_configs import CONFIG_FILES, OWN, SPACES
from bad_data import DATA, PICTURES
from bad_files import (
    OWN_SPACE,
    config,
    file,
    pictures,
    png,
)
from bad_input import STUDY, TINY, BadInput, Materials, exit_code, said_of, tree
from bad_records import DATABASES, RESUMED
from bad_words import NAMES, NUMBERS, RESOURCES, WORDS
from fake_sweep import work

from db import Store

TABLES = (WORDS, NUMBERS, RESOURCES, NAMES, CONFIG_FILES, SPACES, DATABASES, RESUMED, DATA, EXPORTS, TRAINED, OTHERS)


@pytest.fixture(scope="session")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Materials:
    """A study as the command leaves it, of which only the training is made up."""
    folder = tmp_path_factory.mktemp("materials")
    with pytest.MonkeyPatch.context() as patch:
        run_without_ray(patch)
        patch.chdir(folder)
        made = Materials(folder / "runs" / "transxnet.db", folder / "cache")
        assert exit_code("sweep", made.words(TINY), patch) == 0
    return Materials(one_file(made.record, folder / "whole.db"), made.cache)


def one_file(database: Path, copy: Path) -> Path:
    """A copy with all that still stands in the write-ahead log: connections may be open."""
    with closing(sqlite3.connect(database)) as source:
        source.execute("VACUUM INTO ?", [str(copy)])
    with closing(sqlite3.connect(copy)) as target:
        target.execute("PRAGMA journal_mode = WAL")
    return copy


def run_without_ray(patch: pytest.MonkeyPatch) -> None:
    """Let sweeps record accuracies that nobody trained."""
    import experiments.conduct
    import experiments.sweep
    from experiments.slots import Slots

    def run(driver: Any, *others: Any, **options: Any) -> bool:
        work(driver)
        return True

    patch.setattr(experiments.sweep, "connected", nullcontext)
    patch.setattr(experiments.conduct, "plan_slots", lambda resources: Slots(1, 0, 1))
    patch.setattr(experiments.conduct, "trial_nodes", lambda resources: [])
    patch.setattr(experiments.conduct, "require_able_nodes", lambda *asked: None)
    patch.setattr(experiments.conduct, "run", run)


@pytest.mark.parametrize("entry", [entry for table in TABLES for entry in table], ids=lambda entry: entry.id)
def test_a_mistake_ends_with_one_line_that_tells_it_and_writes_nothing(
    entry: BadInput,
    materials: Materials,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = said_of(entry, materials, tmp_path, monkeypatch, capsys)
    assert not [piece for piece in entry.told if piece not in said], said


def test_every_mistake_has_a_name_of_its_own() -> None:
    names = [entry.id for table in TABLES for entry in table]
    assert len(names) == len(set(names))
    assert len(names) >= 60


def test_without_the_mistake_the_same_commands_go_through(
    materials: Materials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that it is the mistake which is refused: numbers as people write them, two good files, the study itself."""
    run_without_ray(monkeypatch)
    materials.copy_record(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = materials.words(TINY)
    assert exit_code("sweep", words, monkeypatch) == 0
    config("image_size: 16\nwidth_scale: 1e-1\nepochs: 2\n", "proxy/mine")(materials, tmp_path)
    file("conf/space/mine.yaml", OWN_SPACE.encode())(materials, tmp_path)
    file("conf/space/broken.yaml", b"[[[")(materials, tmp_path)  # of no concern
    own = [*OWN.split(), "proxy=mine", "recipe.learning_rate=1e-3", "trials=1"]
    assert exit_code("sweep", own + [word for word in words if word.startswith("data")], monkeypatch) == 0
    assert exit_code("describe", ["--config-dir", "conf", "space=mine"], monkeypatch) == 0
    assert capsys.readouterr().err == ""
    with Store.open("sqlite:///runs/transxnet.db", create=False) as store:
        study = store.study("mine-digits")
        assert (study.recipe["learning_rate"], study.fidelity["width_scale"]) == (0.001, 0.1)
        assert [found.name for found in store.studies()] == [STUDY, "mine-digits"]


def test_bad_images_are_skipped_where_it_is_asked_told_and_counted_in_the_record(
    materials: Materials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_without_ray(monkeypatch)
    monkeypatch.chdir(tmp_path)
    for name, content in {"a.png": b"text", "b.png": png(1, 1), "c.png": png(50_000, 50_000)}.items():
        if not (tmp_path / "pictures").exists():
            pictures(lambda root: None)(materials, tmp_path)
        file(f"pictures/train/dog/{name}", content)(materials, tmp_path)
    before = tree(tmp_path / "pictures")
    for _ in range(2):  # made, then from the cache
        assert exit_code("sweep", [*PICTURES.split(), "data.skip_bad_images=true", "trials=1"], monkeypatch) == 0
        assert "3 files that cannot be used were skipped, " in capsys.readouterr().out.replace("\n", " ")
    assert tree(tmp_path / "pictures") == before
    with Store.open("sqlite:///runs/transxnet.db", create=False) as store:
        data = store.study("tiny_demo-imagefolder").data
    assert data["skipped_images"] == 3
    assert sum(data["sizes"].values()) == 16
