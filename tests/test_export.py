"""A study's winner becomes a model that timm loads, or nothing is written at all."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from inline_sweep import STUDY, train_study
from rich.console import Console
from safetensors.torch import load_file, save_file

import transxnet.registry
from db import StorageConfig, Store, StudyRecord
from experiments import exchange
from experiments.export import ExportConfig, export
from experiments.weights import sha256
from experiments.whole_folder import whole_folder
from space.presets import load_preset
from transxnet.arch import ArchConfig
from transxnet.cost import estimate
from transxnet.network import TransXNet

ROOT = Path(__file__).parent.parent
BASE = load_preset("tiny_demo").base


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return folder, train_study(folder)


@pytest.fixture
def run(trained, tmp_path):
    def export_it(name="my_variant", **changes):
        return export_from(trained, name, **{"variants": str(tmp_path / "variants"), **changes})

    return export_it


def export_from(trained, name, **changes):
    folder, url = trained
    config = ExportConfig(storage=StorageConfig(url), study=STUDY, name=name, cache=str(folder / "cache"))
    export(replace(config, **changes), Console(quiet=True))
    return Path(changes["variants"]) / name


@pytest.fixture(scope="module")
def in_new_process(trained, tmp_path_factory):
    """What a process that imports transxnet finds in a folder with a target, a trial's network and a broken one."""
    variants = tmp_path_factory.mktemp("found") / "variants"
    for name, words in {"found_target": {"pick": "baseline"}, "found_trial": {"weights": "trial"}}.items():
        export_from(trained, name, variants=str(variants), **words)
    (variants / "broken").mkdir()
    (variants / "broken" / "config.json").write_text('{"architecture": "custom_transxnet"}')
    code = """if True:
        import json, transxnet, timm
        target, trial = timm.create_model("found_target"), timm.create_model("found_trial", pretrained=True)
        print(json.dumps({
            "target": [target.arch.id, target.num_classes],
            "trial": [trial.num_classes, trial.pretrained_cfg["mean"][0] > 0],
            "sum": float(trial.head.fc.weight.double().sum()),
            "names": [name for name in timm.list_models() if "transxnet" in name or name in ("found_trial", "broken")],
        }))
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"TRANSXNET_VARIANTS": str(variants), "PATH": ""},
        cwd=ROOT,
    )
    return {**json.loads(done.stdout), "warned": done.stderr, "variants": variants}


def test_the_target_is_loaded_by_name_in_a_new_process(in_new_process):
    assert in_new_process["target"] == [BASE.id, 1000]


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


def test_a_trials_network_is_loaded_by_name_with_its_weights(in_new_process):
    weights = load_file(in_new_process["variants"] / "found_trial" / "model.safetensors")
    assert in_new_process["trial"] == [10, True]
    assert in_new_process["sum"] == float(weights["head.fc.weight"].double().sum())


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


@pytest.fixture(scope="module")
def broken(trained, tmp_path_factory):
    """What 50 killed exports left, and one on a full disk."""
    with Store.open(trained[1]) as store:
        picks = sorted({trial.arch_id for trial in store.trials(STUDY)})
    folder = tmp_path_factory.mktemp("broken")
    program = [
        sys.executable,
        "tests/broken_exports.py",
        trained[1],
        STUDY,
        trained[0] / "cache",
        folder,
        50,
        0,
        *picks,
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(list(map(str, program)), capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_killed_at_any_of_50_moments_the_variant_is_the_old_one_or_the_complete_new_one(broken):
    # The program itself compares the folder with both after each kill, and ends with an export that nobody kills.
    assert broken["kills"] == 50
    assert broken["before_the_exchange"] >= 10, broken
    assert broken["after_the_exchange"] >= 5, broken
    assert broken["while_removing_the_old"] >= 1, broken


def test_on_a_full_disk_the_command_leaves_the_old_variant_and_ends_with_4(broken):
    if broken["disk_full"] is None:
        pytest.skip("this system allows no small disk of its own to a process")
    assert broken["disk_full"]["code"] == 4
    [line] = broken["disk_full"]["said"].splitlines()
    assert line.startswith("error: the disk has no room for")


def test_an_existing_variant_is_replaced_only_if_told_to(run):
    folder = run(pick="baseline")
    before = content(folder)
    with pytest.raises(ValueError, match=r"exists; write replace=true"):
        run(weights="trial")
    assert content(folder) == before
    run(weights="trial", replace=True)
    assert {path.name for path in folder.iterdir()} == {"README.md", "arch.json", "config.json", "model.safetensors"}
    run(pick="baseline", replace=True)
    assert content(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["my_variant"]


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def somebodys_folder(folder):
    folder.mkdir()
    (folder / "arch.json").write_text("{}")
    (folder / "config.json").write_text('{"architecture": "resnet18"}')


def somebodys_file(folder):
    folder.write_text("mine")


def link(folder):
    folder.with_name("elsewhere").mkdir()
    folder.symlink_to("elsewhere")


def with_results_in_it(folder):
    folder.mkdir()
    (folder / "arch.json").write_text("{}")
    (folder / "config.json").write_text('{"architecture": "custom_transxnet", "transxnet": {}}')
    (folder / "tuned.pth").write_text("days of work")


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("my_variant", somebodys_folder, "an exported variant alone"),
        ("my_variant", somebodys_file, "an exported variant alone"),
        ("my_variant", link, "an exported variant alone"),
        ("my_variant", with_results_in_it, "tuned.pth in it; move that"),
        ("resnet18", with_results_in_it, "new to timm"),
        ("transxnet_t", with_results_in_it, "new to timm"),
    ],
)
def test_nothing_but_an_exported_variant_is_replaced(run, tmp_path, name, make, said):
    (tmp_path / "variants").mkdir()
    make(tmp_path / "variants" / name)
    before = sorted((path, path.is_file() and path.read_bytes()) for path in tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=said):
        run(name=name, replace=True)
    assert sorted((path, path.is_file() and path.read_bytes()) for path in tmp_path.rglob("*")) == before


def test_a_variant_that_timm_knows_already_can_be_replaced_where_it_lies(run, tmp_path):
    folder = run(name="known_variant", pick="baseline")
    transxnet.registry.register_variant(folder)
    run(name="known_variant", weights="trial", replace=True)
    assert (folder / "model.safetensors").is_file()
    with pytest.raises(ValueError, match="new to timm"):
        run(name="known_variant", replace=True, variants=str(tmp_path / "another"))


def test_two_exports_of_one_name_do_not_meet(run, tmp_path):
    with whole_folder(tmp_path / "variants" / "my_variant") as partial:
        (partial / "half").write_text("written")
        with pytest.raises(ValueError, match="one writer at a time"):
            run()
        run(name="another")
        assert (partial / "half").read_text() == "written"
    assert (tmp_path / "variants" / "my_variant" / "half").read_text() == "written"


def test_where_folders_cannot_be_exchanged_the_old_one_stays(run, monkeypatch, tmp_path):
    folder = run(pick="baseline")
    before = content(folder)
    monkeypatch.setattr(exchange, "_SYSTEM_CALLS", {})  # as on a system that has no such call
    with pytest.raises(ValueError, match="cannot"):
        run(weights="trial", replace=True)
    assert content(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["my_variant"]


def test_a_folder_that_cannot_be_written_is_refused(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"can be written.*variants=FOLDER"):
        run(variants=str(tmp_path / "file"))


def test_a_study_without_a_complete_trial_has_nothing_to_export(run, tmp_path):
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    with Store.open(url) as store:
        from experiments.candidates import architecture_record

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


def test_a_broken_variant_folder_is_told_and_does_not_stand_in_the_way(in_new_process):
    with pytest.raises(ValueError, match="does not hold an exported variant"):
        transxnet.registry.register_variant(in_new_process["variants"] / "broken")
    assert in_new_process["names"] == ["custom_transxnet", "found_trial", "transxnet_b", "transxnet_s", "transxnet_t"]
    assert "broken does not hold an exported variant" in in_new_process["warned"]


def without_a_tensor(file):
    save_file({name: value for name, value in load_file(file).items() if name != "stem.conv.weight"}, file)


def with_nan(file):
    state = load_file(file)
    state["head.fc.bias"][0] = torch.nan
    save_file(state, file)


def half(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (half, "must be a whole file"),
        (without_a_tensor, "stem.conv.weight is missing"),
        (with_nan, "NaN or infinity in head.fc.bias"),
    ],
)
def test_weights_that_their_trial_left_damaged_are_refused(run, trained, tmp_path, monkeypatch, damage, said):
    with Store.open(trained[1]) as store:
        artifacts = store.artifacts(STUDY)
    for number, artifact in enumerate(artifacts):
        damaged = tmp_path / f"{number}.safetensors"
        damaged.write_bytes(Path(artifact.path).read_bytes())
        damage(damaged)
        artifacts[number] = replace(artifact, path=str(damaged), sha256=sha256(damaged))
    monkeypatch.setattr(Store, "artifacts", lambda store, study: artifacts)
    with pytest.raises(ValueError, match=rf"weights of trial \d+ cannot be exported: .*{said}.*another seed=") as told:
        run(weights="trial")
    assert str(tmp_path) in str(told.value)
    assert not (tmp_path / "variants").exists()


def test_a_network_without_an_architecture_is_refused():
    with pytest.raises(ValueError, match="pass arch="):
        timm.create_model("custom_transxnet")
