"""A checkpoint that is damaged, of another network, or not of numbers is refused in one line that names the file."""

import ast
import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

import transxnet  # noqa: F401  registers the models
from transxnet.network import TransXNet
from transxnet.registry import CUSTOM, default_cfg

NORM = "stages.1.blocks.0.ffn.norm"
TABLE = "stages.0.position_table"


@pytest.fixture
def state(small_arch):
    torch.manual_seed(0)
    return {name: value.clone() for name, value in TransXNet(small_arch).state_dict().items()}


@pytest.fixture
def by_name(small_arch):
    """As official checkpoints are loaded, on a small network."""

    def load(file, **words):
        overlay = {**default_cfg(small_arch), "file": str(file)}
        return timm.create_model(CUSTOM, pretrained=True, pretrained_cfg_overlay=overlay, arch=small_arch, **words)

    return load


def save(file, state):
    save_file(state, file) if file.suffix == ".safetensors" else torch.save({"state_dict": state}, file)


def change(state, **changed):
    return {**state, **changed}


def poisoned(state, name, value, dtype=torch.float32):
    tensor = state[name].to(dtype)
    tensor.view(-1)[-1] = value
    return {**state, name: tensor}


# What is wrong: what it makes of a state, and what the error says.
WRONG_STATES = {
    "a missing tensor": (lambda s: {k: v for k, v in s.items() if k != "stem.conv.weight"}, "stem.conv.weight is miss"),
    "one too many": (lambda s: {**s, "ema.decay": torch.ones(1)}, "but ema.decay is unexpected; load it into the"),
    "another shape": (
        lambda s: {**s, "stem.conv.weight": torch.zeros(8, 3, 5, 5)},
        r"stem.conv.weight has shape 8 x 3 x 5 x 5 instead of 8 x 3 x 7 x 7; ",
    ),
    "a table of other heads": (lambda s: {**s, TABLE: torch.zeros(1, 2, 64, 1)}, f"{TABLE} has shape 1 x 2 x 64 x 1"),
    "a table of other axes": (lambda s: {**s, TABLE: torch.zeros(64)}, f"{TABLE} has shape 64 instead"),
    "six differences": (
        lambda s: {k + ("_" if k.startswith("stem.bn.") else ""): v for k, v in s.items()},
        r"stem.bn.weight is missing; stem.bn.bias is missing; stem.bn.running_mean is missing, and 6 more; ",
    ),
    "other classes": (
        lambda s: {**s, "head.fc.weight": torch.zeros(7, 32, 1, 1), "head.fc.bias": torch.zeros(7)},
        "head.fc.weight has shape 7 x 32 x 1 x 1 .* one of 7 classes: pass num_classes=7",
    ),
    "nothing": (lambda s: {"only": torch.ones(1)}, "stem.conv.weight is missing; .*; .*, and [0-9]+ more"),
    "NaN": (lambda s: poisoned(s, "stem.conv.weight", torch.nan), "NaN or infinity in stem.conv.weight; take one from"),
    "NaN in half precision": (
        lambda s: poisoned(s, "head.fc.bias", torch.nan, torch.float16),
        "NaN or infinity in head.fc.bias",
    ),
    "infinity where logits stay finite": (
        lambda s: poisoned(s, NORM + ".running_var", torch.inf),
        f"NaN or infinity in {NORM}.running_var",
    ),
    "NaN in two": (
        lambda s: poisoned(poisoned(s, "head.fc.bias", torch.nan), NORM + ".weight", -torch.inf),
        f"NaN or infinity in {NORM}.weight",
    ),
}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("wrong", WRONG_STATES)
def test_a_state_that_is_not_the_networks_is_refused_with_its_first_differences(
    wrong, suffix, by_name, state, tmp_path
):
    make, said = WRONG_STATES[wrong]
    file = tmp_path / f"given{suffix}"
    save(file, make(state))
    refused(lambda: by_name(file), file, said)


def refused(load, file, said):
    with pytest.raises(ValueError, match=said) as told:
        load()
    assert str(file) in str(told.value)
    assert "\n" not in str(told.value)
    assert told.value.__suppress_context__ or told.value.__context__ is None, "no traceback of a library's with it"


class Malicious:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return (Path.touch, (self.canary,))


def halved(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def a_byte_short(file):
    file.write_bytes(file.read_bytes()[:-1])


def in_the_old_format(file):
    torch.save(torch.load(file, weights_only=True), file, _use_new_zipfile_serialization=False)


# What is wrong: the file's suffix, what it does to a good file, and what the error says.
WRONG_FILES = {
    "half a file of torch": (".pth", halved, r"must be a whole file .* got .* of [0-9,]+ bytes \(.*copy or download"),
    "half a safetensors": (".safetensors", halved, "must be a whole file .*SafetensorError"),
    "a byte short": (".pth", a_byte_short, "must be a whole file"),
    "a safetensors, a byte short": (".safetensors", a_byte_short, "must be a whole file"),
    "half an old file of torch": (".pth", lambda f: (in_the_old_format(f), halved(f)), "must be a whole file"),
    "an empty file": (".pth", lambda f: f.write_bytes(b""), "of 0 bytes .EOFError"),
    "an empty safetensors": (".safetensors", lambda f: f.write_bytes(b""), "of 0 bytes .SafetensorError"),
    "a text": (".pth", lambda f: f.write_text("<html>Not Found</html>\n"), "must be a whole file"),
    "a text called safetensors": (
        ".safetensors",
        lambda f: f.write_text("404: Not Found\n" * 9),
        "must be a whole file",
    ),
    "no dictionary": (".pth", lambda f: torch.save([torch.ones(3)], f), "with a dictionary of tensors"),
    "a number for a state": (".pth", lambda f: torch.save({"state_dict": 3}, f), "with a dictionary of tensors"),
    "a tensor that is text": (".pth", lambda f: torch.save({"stem.conv.weight": "x"}, f), "no tensor but str"),
    "code": (".pth", lambda f: torch.save(Malicious(f.with_name("canary")), f), "asks to run .*touch|getattr"),
    "no file": (".pth", Path.unlink, "must be a file, got .*, where none is; check the path"),
}


@pytest.mark.parametrize("wrong", WRONG_FILES)
def test_a_file_that_is_no_whole_checkpoint_is_refused_in_a_line_of_ours(wrong, by_name, state, tmp_path):
    suffix, damage, said = WRONG_FILES[wrong]
    file = tmp_path / f"given{suffix}"
    save(file, state)
    damage(file)
    refused(lambda: by_name(file), file, said)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (halved, "must be a whole file"),
        (lambda file: save_file({"only": torch.ones(1)}, file), "stem.conv.weight is missing"),
        (lambda file: file.write_text("version https://git-lfs.github.com/spec/v1"), "must be a whole file"),
    ],
)
def test_an_exported_folder_names_its_damaged_weights(damage, said, state, small_arch, tmp_path):
    config = {
        "architecture": CUSTOM,
        "num_classes": small_arch.num_classes,
        "pretrained_cfg": default_cfg(small_arch),
        "model_args": {"arch": small_arch.to_dict()},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    file = tmp_path / "model.safetensors"
    save_file(state, file)
    timm.create_model(f"local-dir:{tmp_path}", pretrained=True)
    damage(file)
    refused(lambda: timm.create_model(f"local-dir:{tmp_path}", pretrained=True), file, said)


def test_a_checkpoint_of_another_published_network_says_which(tmp_path):
    rows = [line.split("\t") for line in (Path(__file__).parent / "data/official_state_t.tsv").read_text().splitlines()]
    # Views of one number are saved as one number: what is looked at is the shapes.
    torch.save({key: torch.zeros(()).expand(ast.literal_eval(shape)) for key, shape in rows}, tmp_path / "t.pth")
    overlay = {"file": str(tmp_path / "t.pth")}
    said = (
        "shape 48 x 3 x 7 x 7 instead of 64 x 3 x 7 x 7; .* more; it is a checkpoint of transxnet_t: load it as transx"
    )
    refused(
        lambda: timm.create_model("transxnet_s", pretrained=True, pretrained_cfg_overlay=overlay),
        tmp_path / "t.pth",
        said,
    )


def test_what_timm_adapts_or_torch_does_without_is_no_difference(by_name, state, tmp_path):
    old = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    save(tmp_path / "old.pth", old)
    assert torch.equal(by_name(tmp_path / "old.pth").stem.conv.weight, state["stem.conv.weight"])
    adapted = by_name(tmp_path / "old.pth", num_classes=3, in_chans=1, img_size=64).eval()
    assert adapted(torch.randn(1, 1, 64, 64)).shape == (1, 3)
    save(tmp_path / "headless.pth", {name: value for name, value in state.items() if not name.startswith("head.fc")})
    features = by_name(tmp_path / "headless.pth", features_only=True).eval()
    assert len(features(torch.randn(1, 3, 32, 32))) == 4
