"""The benchmark of a large record makes a study as a sweep would leave it, and does with it what users do."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent))  # benchmarks are not installed

from benchmarks.big_record import EARLIER, Size, make_record
from benchmarks.store import main
from benchmarks.store_part import PARTS, Asked
from db import Store, TrialState
from transxnet.arch import ArchConfig
from transxnet.cost import estimate

SIZE = Size(variants=80, epochs=4, studies=2)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    folder = tmp_path_factory.mktemp("store")
    url = f"sqlite:///{folder / 'record.db'}"
    make_record(url, SIZE)
    return Asked(url, SIZE.names[0], SIZE.variants_each, SIZE.seeds, SIZE.epochs, folder)


def test_the_record_holds_what_was_asked_for(asked: Asked) -> None:
    with Store.open(asked.url, create=False) as store:
        assert [study.name for study in store.studies()] == ["big00", "big01", EARLIER]
        for name in SIZE.names:
            trials = store.trials(name)
            finished = [trial for trial in trials if trial.state is not TrialState.INTERRUPTED]
            assert len({(trial.arch_id, trial.seed) for trial in finished}) == len(finished) == 40 * 2
            assert Counter(trial.state for trial in finished)[TrialState.COMPLETE] > 60
            own = {trial.id: trial.epochs_run for trial in trials if trial.reused_from is None and trial.epochs_run}
            assert Counter(epoch.trial_id for epoch in store.epochs(name)) == own
        assert any(trial.reused_from for trial in store.trials("big00"))


def test_its_networks_are_real_and_cost_what_is_told(asked: Asked) -> None:
    with Store.open(asked.url, create=False) as store:
        found = store.architectures("big01")
    assert len(found) == 2 * 40
    for arch_id, record in list(found.items())[:10]:
        arch = ArchConfig.from_dict(record.description)
        cost = estimate(arch)
        assert (arch.id, arch.to_dict()) == (arch_id, dict(record.description))
        assert (record.params, record.macs, record.activations) == (cost.params, cost.macs, cost.activations)


@pytest.mark.parametrize("part", [part for part in PARTS if part not in ("describe one study", "report")])
def test_a_part_is_done(
    asked: Asked, part: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.store_part.RESULTS", 50)
    PARTS[part](asked)
    assert ("3 studies" in capsys.readouterr().out) == (part == "describe")


def test_a_part_is_measured_in_a_process_of_its_own(
    asked: Asked, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "store.json"
    words = ["--quick", "--folder", str(asked.folder), "--parts", "open", "--out", str(out)]
    assert main([*words, "--variants", "80", "--studies", "2", "--epochs", "4"]) == 0
    [row] = json.loads(out.read_text())["rows"]
    assert row["part"] == "open"
    assert row["peak_mib"] > 50
    assert row["cpu_seconds"] > 0
    assert capsys.readouterr().out.splitlines()[-1] == str(out)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--variants", "0"], "variants must be at least 1, got 0"),
        (["--variants", "10", "--studies", "9"], "each study needs two variants, got 10 for 9; add variants"),
    ],
)
def test_a_wrong_word_is_told_before_anything_is_made(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert capsys.readouterr() == ("", f"benchmarks.store: {said}\n")
