"""A study's winner becomes a model that timm loads, or nothing is written at all."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from inline_sweep import STUDY, train_study
from rich.console import Console
from safetensors.torch import load_file, save_file

import transxnet.registry
from db import StorageConfig, Store, StudyRecord
from experiments.export import ExportConfig, export
from space.presets import load_preset
from transxnet.arch import ArchConfig
from transxnet.cost import estimate
from transxnet.network import TransXNet

BASE = load_preset("tiny_demo").base


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return folder, train_study(folder)


@pytest.fixture
def run(trained, tmp_path):
    folder, url = trained

    def export_it(name="my_variant", **changes):
        settings = {"study": STUDY, "variants": str(tmp_path / "variants"), "cache": str(folder / "cache"), **changes}
        console = Console(record=True, quiet=True, width=200)
        export(ExportConfig(storage=StorageConfig(url), name=name, **settings), console)
        return tmp_path / "variants" / name

    return export_it


def in_new_process(code, variants):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"TRANSXNET_VARIANTS": str(variants), "PATH": ""},
        cwd=Path(__file__).parent.parent,
    )
    return done.stdout.split()


def test_the_target_is_loaded_by_name_in_a_new_process(run):
    folder = run(pick="baseline")
    code = "import transxnet, timm; m = timm.create_model('my_variant'); print(m.arch.id, m.num_classes)"
    assert in_new_process(code, folder.parent) == [BASE.id, "1000"]


def test_the_target_is_written_at_full_size_without_weights_and_says_so(run):
    folder = run(pick="baseline")
    config = json.loads((folder / "config.json").read_text())
    assert config["transxnet"]["kind"] == "target"
    assert ArchConfig.from_dict(config["model_args"]["arch"]) == BASE
    assert ArchConfig.from_json((folder / "arch.json").read_text()) == BASE
    assert not list(folder.glob("*.safetensors"))
    card = (folder / "README.md").read_text()
    assert "without weights" in card
    assert f"{estimate(BASE).macs:,}" in card
    with pytest.raises(RuntimeError):
        timm.create_model(f"local-dir:{folder}", pretrained=True)


def test_timms_own_arguments_work_on_an_exported_target(run):
    folder = run(pick="baseline")
    model = timm.create_model(f"local-dir:{folder}", num_classes=3, in_chans=1, features_only=False)
    assert model(torch.randn(2, 1, 64, 64)).shape == (2, 3)
    features = timm.create_model(f"local-dir:{folder}", features_only=True)
    assert features.feature_info.channels() == list(BASE.column("width"))


def test_a_trials_network_gives_its_logits_and_its_test_accuracy(run, trained):
    folder = run(name="my_trial", weights="trial", seed=1)
    config = json.loads((folder / "config.json").read_text())
    assert config["transxnet"]["kind"] == "trial"
    with Store.open(trained[1]) as store:
        trials = {t.id: t for t in store.trials(STUDY) if t.seed == 1}
        artifacts = [a for a in store.artifacts(STUDY) if a.trial_id in trials]
    arch = ArchConfig.from_dict(config["model_args"]["arch"])
    weights = load_file(folder / "model.safetensors")
    source = [a for a in artifacts if trials[a.trial_id].trained_arch_id == arch.id]
    assert any(Path(a.path).read_bytes() == (folder / "model.safetensors").read_bytes() for a in source)
    network = TransXNet(arch).eval()
    network.load_state_dict(weights)
    image = torch.randn(3, 1, 16, 16)
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    assert torch.equal(model(image), network(image))
    card = (folder / "README.md").read_text()
    assert "Test accuracy" in card
    assert "is not the target" in card


def test_a_trials_network_is_loaded_by_name_with_its_weights(run):
    folder = run(name="my_trial", weights="trial")
    code = (
        "import transxnet, timm; m = timm.create_model('my_trial', pretrained=True);"
        "print(m.num_classes, m.pretrained_cfg['mean'][0] > 0, float(m.head.fc.weight.double().sum()))"
    )
    classes, mean, total = in_new_process(code, folder.parent)
    weights = load_file(folder / "model.safetensors")
    assert (classes, mean) == ("10", "True")
    assert float(total) == float(weights["head.fc.weight"].double().sum())


@pytest.mark.parametrize("pick", ["best", "knee", "baseline", BASE.id, BASE.id[:6]])
def test_every_way_to_pick_gives_an_architecture_of_the_study(run, trained, pick):
    config = json.loads((run(pick=pick) / "config.json").read_text())
    with Store.open(trained[1]) as store:
        assert config["transxnet"]["arch_id"] in {trial.arch_id for trial in store.trials(STUDY)}
    if pick not in ("best", "knee"):
        assert config["transxnet"]["arch_id"] == BASE.id


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("my-variant", {}, "Python identifier.*my_variant"),
        ("../up", {}, "Python identifier"),
        ("", {}, "Python identifier"),
        ("resnet18", {}, "new to timm"),
        ("transxnet_t", {}, "new to timm"),
        ("fine", {"study": "tinny"}, "tiny"),
        ("fine", {"pick": "ffff"}, "best, knee, baseline or the start"),
        ("fine", {"pick": ""}, "best, knee, baseline or the start"),
        ("fine", {"weights": "trial", "seed": 7}, r"got 7; there are \[0, 1\]"),
    ],
)
def test_refusals_are_clear_and_write_nothing(run, tmp_path, name, changes, said):
    with pytest.raises(ValueError, match=said):
        run(name=name, **changes)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_existing_variant_is_never_replaced(run):
    folder = run(pick="baseline")
    before = (folder / "config.json").read_bytes()
    with pytest.raises(ValueError, match="exists"):
        run(weights="trial")
    assert (folder / "config.json").read_bytes() == before
    assert [path.name for path in folder.parent.iterdir()] == ["my_variant"]


def test_a_study_without_a_complete_trial_has_nothing_to_export(run, tmp_path):
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    with Store.open(url) as store:
        from experiments.driver import architecture_record

        store.add_architectures([architecture_record(BASE)])
        space = load_preset("tiny_demo").to_dict()
        store.add_study(StudyRecord("none", space, {}, {}, {}, ("accuracy",), BASE.id, "a command"))
    config = ExportConfig(storage=StorageConfig(url), study="none", name="fine", variants=str(tmp_path / "v"))
    with pytest.raises(ValueError, match="complete trial"):
        export(config, Console(quiet=True))
    assert not (tmp_path / "v").exists()


def test_weights_that_were_changed_are_refused_and_leave_nothing(run, trained, tmp_path):
    with Store.open(trained[1]) as store:
        paths = [Path(artifact.path) for artifact in store.artifacts(STUDY)]
    kept = {path: path.read_bytes() for path in paths}
    try:
        for path in paths:
            save_file({name: value + 1 for name, value in load_file(path).items()}, path)
        with pytest.raises(ValueError, match="changed after the trial"):
            run(weights="trial")
    finally:
        for path, content in kept.items():
            path.write_bytes(content)
    assert not list(tmp_path.glob("variants/*"))


def test_a_broken_variant_folder_is_told_and_does_not_stand_in_the_way(run, monkeypatch, tmp_path):
    broken = tmp_path / "variants" / "broken"
    broken.mkdir(parents=True)
    (broken / "config.json").write_text('{"architecture": "custom_transxnet"}')
    with pytest.raises(ValueError, match="does not hold an exported variant"):
        transxnet.registry.register_variant(broken)
    code = "import transxnet, timm; print(*timm.list_models('transxnet*'))"
    assert in_new_process(code, tmp_path / "variants") == ["transxnet_b", "transxnet_s", "transxnet_t"]


def test_a_network_without_an_architecture_is_refused():
    with pytest.raises(ValueError, match="pass arch="):
        timm.create_model("custom_transxnet")
