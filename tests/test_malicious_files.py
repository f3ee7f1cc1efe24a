"""Files that another could have written run nothing here: each would make a canary, and none does."""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch

from db import Store, TrialState
from experiments.checkpoint_names import STATE_FILE, WEIGHTS_FILE
from experiments.data import cifar10
from experiments.data.config import DataConfig
from experiments.data.load import load_dataset
from experiments.fidelity import Fidelity
from experiments.recipe import Recipe
from experiments.spec import TrialSpec
from experiments.trainable import ProxyTrial
from space.cli import run_entry_point
from transxnet.registry import register_variant

WORDS = ["space=tiny_demo", "data=digits", "proxy.epochs=1", "proxy.image_size=16", "trials=1", "seeds=1"]


class Touch:
    """Unpickling it in the ordinary way makes a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.canary}",)


@pytest.fixture
def canary(tmp_path: Path) -> Any:
    """A path at which nothing is at the end."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists()


def said_by(main: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line of a command that is refused."""
    monkeypatch.setattr(sys, "argv", ["command", *words])
    with pytest.raises(SystemExit) as ended:
        run_entry_point(main)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith("error: ")
    assert said.count("\n") == 1, said
    return said


def test_the_canary_would_sing(tmp_path: Path) -> None:
    path = tmp_path / "canary"
    torch.save({"x": Touch(path)}, tmp_path / "file.pt")
    torch.load(tmp_path / "file.pt", weights_only=False)
    assert path.exists()


@pytest.mark.parametrize("form", ["zip", "pickle"])
def test_a_checkpoint_that_timm_is_given(canary: Path, tmp_path: Path, form: str) -> None:
    file = tmp_path / "official.pth.tar"
    torch.save({"state_dict": {"x": Touch(canary)}}, file, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(ValueError, match=r"weights_only"):
        timm.create_model("transxnet_t", pretrained=True, pretrained_cfg_overlay={"file": str(file)})


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin", "elsewhere.pt"])
def test_the_weights_of_a_variants_folder(canary: Path, tmp_path: Path, small_arch: Any, file: str) -> None:
    folder = tmp_path / f"malicious_{file.partition('.')[0]}"
    folder.mkdir()
    torch.save({"x": Touch(canary)}, folder / file)
    named = {"file": str(folder / file)} if file == "elsewhere.pt" else {}
    config = {"architecture": "custom_transxnet", "model_args": {"arch": small_arch.to_dict()}, "pretrained_cfg": named}
    (folder / "config.json").write_text(json.dumps(config))
    name = register_variant(folder)
    for asked in (name, f"local-dir:{folder}"):
        with pytest.raises(Exception, match=r"(?s)weights_only=True|[Hh]eader|[Nn]o pretrained|[Nn]o suitable"):
            timm.create_model(asked, pretrained=True)


@pytest.mark.parametrize("file", [STATE_FILE, WEIGHTS_FILE])
def test_the_checkpoint_of_a_trial(canary: Path, tmp_path: Path, small_arch: Any, file: str) -> None:
    data = DataConfig("digits", cache=str(tmp_path / "cache"))
    fingerprint = load_dataset(data, 16).fingerprint
    arch = small_arch.replace(image_size=(16, 16), in_channels=1, num_classes=10)
    spec = TrialSpec(arch, Recipe(), Fidelity(image_size=16, data_share=0.1, epochs=1), data, fingerprint, 0)
    how = {"threads": 1, "on_gpu": False, "kernels": "auto", "checkpoint": None, "checkpoint_s": 1.0}
    trial = ProxyTrial({"spec": spec.to_dict(), **how})
    trial.save_checkpoint(str(tmp_path))
    torch.save({"x": Touch(canary)}, tmp_path / file)
    with pytest.raises(Exception, match=r"[Ww]eights.only|[Hh]eader"):
        trial.load_checkpoint(str(tmp_path))


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_cifar10_batch(
    canary: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    packed: bool,
    protocol: int,
) -> None:
    from experiments.sweep import main

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in (*cifar10.TRAIN_FILES, cifar10.TEST_FILE, cifar10.META_FILE):
        (folder / name).write_bytes(pickle.dumps({b"data": Touch(canary)}, protocol))
    path = tmp_path
    if packed:
        path = tmp_path / "cifar.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            archive.add(folder, "../../cifar-10-batches-py")
    monkeypatch.chdir(tmp_path)
    said = said_by(main, monkeypatch, capsys, "data=cifar10", f"data.path={path}", f"data.cache={tmp_path / 'cache'}")
    assert "do not trust this file" in said
    assert "posix.system" in said


def test_an_archive_of_arrays(
    canary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from experiments.sweep import main

    array = np.array([Touch(canary)], dtype=object)
    np.savez(tmp_path / "x.npz", x_train=array, y_train=array, x_test=array, y_test=array)
    monkeypatch.chdir(tmp_path)
    place = (f"data.path={tmp_path / 'x.npz'}", f"data.cache={tmp_path / 'cache'}")
    assert "allow_pickle" in said_by(main, monkeypatch, capsys, "data=npz", *place)


@pytest.mark.parametrize(
    "harm",
    [
        "about: !!python/object/apply:os.system ['touch {canary}']",
        "about: !!python/object/new:os.system ['touch {canary}']",
        "about: !!python/name:os.system",
    ],
)
@pytest.mark.parametrize("module", ["space.describe", "experiments.sweep"])
def test_a_space_with_a_tag(
    canary: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    harm: str,
    module: str,
) -> None:
    (tmp_path / "conf" / "space").mkdir(parents=True)
    text = f"name: mine\n{harm.format(canary=canary)}\nbase: transxnet_t\ndimensions: {{}}\n"
    (tmp_path / "conf" / "space" / "mine.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    main = __import__(module, fromlist=["main"]).main
    said_by(main, monkeypatch, capsys, "--config-dir", str(tmp_path / "conf"), "space=mine")


@pytest.mark.usefixtures("shared_ray")
def test_states_of_ray_beside_a_sweep_that_begins_and_goes_on(
    canary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from experiments.sweep import main

    monkeypatch.chdir(tmp_path)
    study = tmp_path / "runs" / "tiny_demo-digits"
    harm = io.BytesIO()
    pickle.dump(Touch(canary), harm)
    stamp = "2026-01-01_00-00-00"
    for seeds in (1, 2):
        for folder in (study, study / "ray-left" / "trials", study / "trials", study / "weights"):
            folder.mkdir(parents=True, exist_ok=True)
            for name in ("tuner.pkl", "trainable.pkl", f"searcher-state-{stamp}.pkl", f"search_gen_state-{stamp}.json"):
                (folder / name).write_bytes(harm.getvalue())
            state = {"checkpoints": [], "_cloudpickle": harm.getvalue().hex(), "CLASS_NAME": "TrialRunner"}
            (folder / f"experiment_state-{stamp}.json").write_text(json.dumps(state))
        monkeypatch.setattr(sys, "argv", ["sweep", *WORDS[:-1], f"seeds={seeds}"])
        with pytest.raises(SystemExit) as ended:
            run_entry_point(main)
        assert ended.value.code in (None, 0)
    with Store.open("sqlite:///runs/transxnet.db", create=False) as store:
        assert [trial.state for trial in store.trials("tiny_demo-digits")] == [TrialState.COMPLETE] * 2
