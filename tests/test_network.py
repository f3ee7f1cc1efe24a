"""The network equals the official one, through the door that timm's users take."""

import ast
import json
from pathlib import Path

import golden
import pytest
import timm
import timm.optim
import torch
from safetensors.torch import save_file

import transxnet  # noqa: F401  registers the models
from transxnet.checkpoint import rename_official
from transxnet.network import TransXNet
from transxnet.variants import VARIANTS

DATA = Path(__file__).parent / "data"
GOLDEN = json.loads((DATA / "golden_t.json").read_text())
LABELS = [3, 141, 592, 653]


@pytest.fixture(scope="module")
def official_shapes():
    rows = [line.split("\t") for line in (DATA / "official_state_t.tsv").read_text().splitlines()]
    return {key: ast.literal_eval(shape) for key, shape in rows}


@pytest.fixture(scope="module")
def official_file(official_shapes, tmp_path_factory):
    path = tmp_path_factory.mktemp("official") / "transx_t.pth.tar"
    torch.save({"state_dict": golden.official_state(official_shapes)}, path)
    return path


def load(path, **kwargs):
    return timm.create_model("transxnet_t", pretrained=True, pretrained_cfg_overlay={"file": str(path)}, **kwargs)


def test_the_fill_is_the_one_that_the_golden_values_were_made_with(official_shapes):
    for key, first in GOLDEN["fill"].items():
        assert golden.fill(key, official_shapes[key]).flatten()[:3].tolist() == first
    assert golden.image(2, 64, 64).flatten()[:5].tolist() == GOLDEN["input"]


@pytest.mark.parametrize("size", [224, 64])
def test_logits_equal_the_official_ones_in_float64(official_file, size):
    model = load(official_file).double().eval()
    with torch.no_grad():
        logits = model(golden.image(2, size, size).double())
    known = GOLDEN[f"eval_{size}"]
    assert list(logits.shape) == known["shape"]
    torch.testing.assert_close(
        logits.flatten()[:10], torch.tensor(known["first10"], dtype=torch.float64), rtol=1e-9, atol=0
    )
    assert logits.sum().item() == pytest.approx(known["sum"], rel=1e-9)
    assert logits.norm().item() == pytest.approx(known["norm"], rel=1e-9)
    assert logits.argmax(dim=1).tolist() == known["argmax"]


def test_loss_gradients_and_statistics_equal_the_official_ones_in_training(official_file):
    model = load(official_file, drop_path_rate=0.0).double().train()
    image = golden.image(4, 64, 64).double().requires_grad_()
    loss = torch.nn.functional.cross_entropy(model(image), torch.tensor(LABELS))
    loss.backward()
    known = GOLDEN["train_64"]
    assert loss.item() == pytest.approx(known["loss"], rel=1e-9)
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert sum(grad is not None for grad in gradients.values()) == known["n_params_with_grad"]
    total = torch.stack([grad.norm() for grad in gradients.values()]).norm().item()
    assert total == pytest.approx(known["total_grad_norm"], rel=1e-9)
    assert image.grad.norm().item() == pytest.approx(known["input_grad_norm"], rel=1e-9)
    for key, norm in known["grad_norms"].items():
        assert gradients[rename_official(key)].norm().item() == pytest.approx(norm, rel=1e-9), key
    for key, statistics in known["bn_after"].items():
        norm_layer = model.get_submodule(rename_official(key + ".").rstrip("."))
        assert norm_layer.running_mean.sum().item() == pytest.approx(statistics["running_mean_sum"], rel=1e-9)
        assert norm_layer.running_var.sum().item() == pytest.approx(statistics["running_var_sum"], rel=1e-9)
        assert norm_layer.num_batches_tracked.item() == statistics["num_batches_tracked"]


def test_official_names_cover_our_state_one_to_one(official_shapes):
    model = timm.create_model("transxnet_t")
    own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert {rename_official(key): shape for key, shape in official_shapes.items()} == own


def test_bare_dictionaries_and_safetensors_load_as_well(official_shapes, tmp_path):
    state = golden.official_state(official_shapes)
    torch.save(state, tmp_path / "bare.pt")
    save_file(state, tmp_path / "official.safetensors")
    first, second = load(tmp_path / "bare.pt"), load(tmp_path / "official.safetensors")
    for (name, a), (_, b) in zip(first.state_dict().items(), second.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
    assert torch.equal(first.stem.conv.weight, state["patch_embed.proj.conv.weight"])


def test_a_checkpoint_with_code_in_it_is_refused(tmp_path):
    canary = tmp_path / "canary"

    class Malicious:
        def __reduce__(self):
            return (Path.touch, (canary,))

    torch.save({"state_dict": Malicious()}, tmp_path / "bad.pth")
    with pytest.raises(Exception, match=r"weights_only|[Ww]eights only"):
        load(tmp_path / "bad.pth")
    assert not canary.exists()


def test_tables_are_resized_to_the_image_size_asked_for(official_file):
    # Resizing at load must give what the network does itself at an image size that its tables were not made for.
    resized, kept = load(official_file, img_size=64).eval(), load(official_file).eval()
    assert resized.stages[0].position_table.shape == (1, 1, 256, 4)
    image = golden.image(1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(resized(image), kept(image))


def test_the_stem_adapts_to_other_channels_and_the_head_to_other_classes(official_file):
    model = load(official_file, in_chans=1, num_classes=10).eval()
    assert model(torch.randn(1, 1, 64, 64)).shape == (1, 10)


@pytest.mark.parametrize("name", VARIANTS)
def test_each_registered_network_has_its_settings(name):
    assert name in timm.list_models("transxnet*")
    with torch.device("meta"):
        model = timm.create_model(name)
    assert model.arch == VARIANTS[name].arch
    assert model.stages[3].blocks[-1].drop_path.drop_prob == pytest.approx(VARIANTS[name].drop_path_rate)
    assert model.pretrained_cfg["crop_pct"] == VARIANTS[name].crop
    assert model.pretrained_cfg["input_size"] == (3, 224, 224)


def test_features_only_gives_four_maps():
    model = timm.create_model("transxnet_t", features_only=True).eval()
    assert model.feature_info.channels() == [48, 96, 224, 448]
    assert model.feature_info.reduction() == [4, 8, 16, 32]
    shapes = [tuple(feature.shape) for feature in model(torch.randn(1, 3, 64, 64))]
    assert shapes == [(1, 48, 16, 16), (1, 96, 8, 8), (1, 224, 4, 4), (1, 448, 2, 2)]


def test_some_features_leave_the_later_stages_out():
    model = timm.create_model("transxnet_t", features_only=True, out_indices=(0, 1)).eval()
    assert [tuple(f.shape) for f in model(torch.randn(1, 3, 64, 64))] == [(1, 48, 16, 16), (1, 96, 8, 8)]
    assert sum(p.numel() for p in model.parameters()) < 1_000_000


def test_a_reset_classifier_changes_the_head(small_arch):
    model = TransXNet(small_arch).eval()
    image = torch.randn(2, 3, 32, 32)
    model.reset_classifier(7)
    assert model(image).shape == (2, 7)
    assert model.get_classifier().out_channels == model.num_classes == model.arch.num_classes == 7
    model.reset_classifier(0)
    assert model(image).shape == (2, 32)
    model.reset_classifier(0, "")
    assert model(image).shape == (2, 32, 1, 1)
    with pytest.raises(ValueError, match="global_pool must be"):
        model.reset_classifier(3, "max")


def test_the_forward_pass_has_its_parts(small_arch):
    model = TransXNet(small_arch).eval()
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        features = model.forward_features(image)
        assert features.shape == (2, 32, 2, 2)
        assert model.forward_head(features, pre_logits=True).shape == (2, 32)
        torch.testing.assert_close(model.forward_head(features), model(image))
        last, maps = model.forward_intermediates(image, indices=2)
    torch.testing.assert_close(last, features)
    assert [tuple(m.shape) for m in maps] == [(2, 16, 4, 4), (2, 32, 2, 2)]


def test_checkpointing_gives_the_same_gradients(small_arch):
    torch.manual_seed(0)
    model = TransXNet(small_arch).double().train()
    image = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    gradients = []
    for enable in (False, True):
        model.set_grad_checkpointing(enable)
        model.zero_grad()
        model(image).square().sum().backward()
        gradients.append([p.grad.clone() for p in model.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed)


def test_weight_decay_and_layer_groups_work_with_timm(small_arch):
    model = TransXNet(small_arch)
    parameters = dict(model.named_parameters())
    assert model.no_weight_decay() <= parameters.keys()
    groups = timm.optim.param_groups_layer_decay(model, weight_decay=0.05, layer_decay=0.5)
    assert sum(len(group["params"]) for group in groups) == len(parameters)
    names = {id(parameter): name for name, parameter in parameters.items()}
    scale = {names[id(parameter)]: group["lr_scale"] for group in groups for parameter in group["params"]}
    order = [
        "stem.conv.weight",
        "stages.0.blocks.0.dpe.weight",
        "stages.2.blocks.1.dpe.weight",
        "head.fc.weight",
    ]
    assert [scale[name] for name in order] == sorted(scale[name] for name in order)
    assert scale["head.fc.weight"] == 1.0


@pytest.mark.parametrize("overlap", [0, 1, 3])
@pytest.mark.parametrize("size", [(32, 32), (37, 50), (65, 33)])
def test_odd_image_sizes_and_every_overlap_work(small_arch, overlap, size):
    arch = small_arch.with_stages(osr_overlap=[overlap] * 4).replace(image_size=size)
    model = TransXNet(arch).eval()
    tables = [stage.position_table.shape for stage in model.stages]
    assert model(torch.randn(1, 3, *size)).shape == (1, 5)
    assert [table[2] for table in tables] == [h * w for h, w in arch.grids()]


def test_no_overlap_is_pvts_patches(small_arch):
    reduce = TransXNet(small_arch.with_stages(osr_overlap=[0] * 4)).stages[0].blocks[0].mixer.osra.reduce
    assert reduce.spatial.conv.kernel_size == reduce.spatial.conv.stride == (8, 8)
    image = torch.randn(1, 4, 16, 16)
    changed = image.clone()
    changed[..., :8, :8] += 1  # one patch
    felt = (reduce.eval()(image) != reduce(changed)).any(dim=1)[0]
    assert felt.tolist() == [[True, False], [False, False]]


def test_one_attention_group_is_a_static_convolution(small_arch):
    idconv = TransXNet(small_arch.with_stages(idconv_groups=[1] * 4)).eval().stages[0].blocks[0].mixer.idconv
    image = torch.randn(3, 4, 8, 8)
    static = torch.nn.functional.conv2d(image, idconv.kernels[0][:, None], idconv.biases[0], padding=3, groups=4)
    torch.testing.assert_close(idconv(image), static)
