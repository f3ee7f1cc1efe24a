"""Every operator of every place: what it learns, what it computes, and that all of it learns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from kernel_parity import a_block, assert_same, block_step, randomise, step
from torch import Tensor, nn

from transxnet.arch import ArchConfig, StageConfig
from transxnet.attention import Attention, PoolAtMost, pooled_attention
from transxnet.checkpoint import checkpoint_filter_fn
from transxnet.cost import estimate_components
from transxnet.kernels.choice import implementation
from transxnet.local_mixers import DyConv
from transxnet.network import TransXNet
from transxnet.operators import MIXINGS, PLACES, WORDS
from transxnet.variants import VARIANTS

T = VARIANTS["transxnet_t"].arch

CONTROLS = {
    **{f"{place} {name}": {place: name} for place, table in PLACES.items() for name in table},
    "in series": {"mixing": "series"},
    "sra in series": {"mixing": "series", "global_mixer": "sra", "local_mixer": "dwconv"},
    "no mixer": {"local_mixer": "none", "global_mixer": "none", "token_enhancer": "none"},
    "no dpe": {"dpe": False},
    "no position table": {"position_table": False},
    "attention without table": {"global_mixer": "pooled", "position_table": False},
    "no layer scale": {"layer_scale": False},
    "a quarter": {"idconv_share": 0.25, "local_mixer": "dyconv"},
    "three quarters": {"idconv_share": 0.75, "global_mixer": "full"},
}
"""Each operator alone in place of the paper's, each switch off, and some together."""


@pytest.fixture(params=CONTROLS.values(), ids=CONTROLS)
def words(request: pytest.FixtureRequest) -> dict[str, object]:
    return request.param


@pytest.mark.parametrize("size", [(4, 6), (9, 8), (18, 17)], ids=str)
@pytest.mark.parametrize("kernels", ["pytorch", "auto"])
def test_fast_blocks_compute_what_the_plain_one_does(
    kernels: str, size: tuple[int, int], words: dict[str, object], native_kernels: None
) -> None:
    case = a_block(size, **words)
    assert_same(block_step(kernels, *case), block_step("reference", *case))


def changed(arch: ArchConfig, words: dict[str, object]) -> ArchConfig:
    """`arch` with these words in all stages; its bottlenecks are wide enough for small shares."""
    return arch.with_stages(**{name: [value] * 4 for name, value in {"idconv_reduction": 1, **words}.items()})


def test_the_fast_graphs_are_in_use(words: dict[str, object]) -> None:
    block, x, _ = a_block((4, 6), **words)
    assert implementation("pytorch", block, x) is not implementation("reference", block, x)


def test_the_fastest_kernels_are_for_blocks_that_have_all_parts() -> None:
    found = {name for name, words in CONTROLS.items() if a_block((4, 6), **words)[0].has_all_parts}
    assert found == {
        "local_mixer idconv", "global_mixer osra", "token_enhancer ste", "ffn msffn", "ffn inverted_residual",
        "no position table",
    }  # fmt: skip


def test_every_parameter_learns_and_is_counted(words: dict[str, object], small_arch: ArchConfig) -> None:
    arch = changed(small_arch, words)
    network = TransXNet(arch, kernels="reference")
    for name, parameter in network.named_parameters():
        nn.init.normal_(parameter, mean=name.endswith("squeeze.bias"), std=0.3)  # a ReLU follows
    network(torch.randn(3, 3, 32, 32)).square().sum().backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []
    without_influence = [name for name, parameter in network.named_parameters() if not parameter.grad.any()]
    # With one key, attention has nothing to choose.
    assert all(name.endswith(("q.weight", "q.bias", "position_table")) for name in without_influence)


@pytest.mark.parametrize("kernels", ["reference", "auto"])  # auto is pytorch wherever a block departs from the paper's
def test_it_trains_channels_last_as_trials_do(kernels: str, words: dict[str, object], small_arch: ArchConfig) -> None:
    outcomes = []
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        network = TransXNet(changed(small_arch, words), kernels=kernels).double().to(memory_format=layout)
        randomise(network)
        image = torch.randn(4, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        outcomes.append(step(network, network, image.contiguous(memory_format=layout)))
    assert_same(*outcomes)


@pytest.mark.parametrize("size", [32, 48, 35])
def test_it_takes_images_of_any_size(size: int, words: dict[str, object], small_arch: ArchConfig) -> None:
    arch = changed(small_arch, words)
    network = TransXNet(arch).eval()
    with torch.no_grad():
        assert network(torch.randn(2, 3, size, size)).shape == (2, 5)


def test_it_is_described_in_json_and_its_checkpoint_loads(words: dict[str, object], small_arch: ArchConfig) -> None:
    arch = changed(small_arch, words)
    again = ArchConfig.from_json(arch.to_json())
    assert again == arch
    network, other = TransXNet(arch), TransXNet(again)
    other.load_state_dict(checkpoint_filter_fn(network.state_dict(), other))
    image = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(network.eval()(image), other.eval()(image))


def test_architectures_of_before_the_operators_still_read() -> None:
    plain = T.to_dict()
    for stage in plain["stages"]:
        for name in (*WORDS, "dpe", "position_table", "layer_scale"):
            del stage[name]
    assert ArchConfig.from_dict(plain) == T


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"local_mixer": "idcon"}, "unknown local_mixer 'idcon'; did you mean idconv?"),
        ({"mixing": "both"}, f"unknown mixing 'both'; known are {', '.join(MIXINGS)}"),
        ({"dpe": 1}, "dpe must be true or false, got 1"),
        ({"local_mixer": "none", "heads": 5}, "divisible by its heads, got 96 channels (width 96) and 5 heads"),
    ],
)
def test_an_illegal_word_is_refused_with_the_remedy(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        StageConfig(**{"depth": 1, "width": 96, "heads": 2, "osr_stride": 2, **wrong})


def learned(module: nn.Module, *, without: tuple[str, ...] = ()) -> int:
    return sum(p.numel() for name, p in module.named_parameters() if not name.endswith(without))


BIASES_AND_NORMS = ("bias", "biases", "bn.weight")


@pytest.mark.parametrize(("width", "kernel", "groups", "reduction"), [(48, 7, 2, 4), (96, 5, 8, 4), (64, 3, 1, 2)])
def test_dynamic_convolutions_learn_as_many_numbers_as_their_papers_say(
    width: int, kernel: int, groups: int, reduction: int
) -> None:
    stage = StageConfig(
        1, 2 * width, 1, 1, idconv_kernel=kernel, idconv_groups=groups, idconv_reduction=reduction
    )  # the local mixer has half of the channels

    def params(name: str) -> int:
        return learned(PLACES["local_mixer"][name].build(stage), without=BIASES_AND_NORMS)

    # TransXNet, section III-B, for IDConv and for D-DWConv; bias terms and norms apart.
    assert params("idconv") == width**2 // reduction * (groups + 1) + groups * width * kernel**2
    assert params("d_dwconv") == width**2 // reduction * (kernel**2 + 1)
    # DyConv's attention ends in one number a kernel.
    assert params("dyconv") == width**2 // reduction + width // reduction * groups + groups * width * kernel**2
    assert params("dwconv") == width * kernel**2


def test_dyconv_mixes_whole_kernels() -> None:
    conv = DyConv(8, 3, groups=2, bottleneck=4)
    for parameter in conv.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(3, 8, 6, 5)
    votes = conv.vote(torch.relu(conv.squeeze(x.mean(dim=(2, 3), keepdim=True)))).flatten(1).softmax(dim=1)
    for sample, (first, second) in zip(range(3), votes, strict=True):
        kernel = first * conv.kernels[0] + second * conv.kernels[1]
        bias = first * conv.biases[0] + second * conv.biases[1]
        alone = nn.functional.conv2d(x[sample : sample + 1], kernel.unsqueeze(1), bias, padding=1, groups=8)
        torch.testing.assert_close(conv(x)[sample : sample + 1], alone)


def plain_attention(module: Attention, x: Tensor, source: Tensor, table: Tensor | None) -> Tensor:
    """Attention as the books write it, head by head."""
    q, (k, v) = module.q(x).flatten(2), module.kv(source).flatten(2).chunk(2, dim=1)  # [B, C, positions]
    heads = []
    for head, (qh, kh, vh) in enumerate(zip(*(each.chunk(module.heads, dim=1) for each in (q, k, v)), strict=True)):
        logits = qh.mT @ kh / qh.shape[1] ** 0.5
        logits = logits if table is None else logits + table[:, head]
        heads.append(vh @ logits.softmax(dim=-1).mT)
    return torch.cat(heads, dim=1).view_as(x)


@pytest.mark.parametrize("has_table", [True, False])
@pytest.mark.parametrize("name", ["sra", "pooled", "full"])
def test_attentions_attend(name: str, has_table: bool) -> None:
    stage = StageConfig(1, 24, 3, 2, global_mixer=name, local_mixer="none", position_table=has_table)
    attention = stage.operator("global_mixer").build(stage)
    x = torch.randn(2, 24, 10, 9)
    source = attention.reduce(x)
    keys = {"sra": (5, 5), "pooled": (7, 7), "full": (10, 9)}[name]
    assert source.shape[2:] == keys
    assert stage.operator("global_mixer").keys(stage, (10, 9)) == keys[0] * keys[1]
    table = torch.randn(1, 3, 90, keys[0] * keys[1]) if has_table else None
    torch.testing.assert_close(attention(x, table), plain_attention(attention, x, source, table), rtol=1e-4, atol=1e-5)


def test_small_maps_are_not_pooled_to_more_than_they_have() -> None:
    x = torch.randn(2, 3, 5, 9)
    assert PoolAtMost(7)(x).shape == (2, 3, 5, 7)
    stage = StageConfig(1, 8, 1, 1, global_mixer="pooled")
    assert stage.operator("global_mixer").keys(stage, (5, 9)) == 35
    assert pooled_attention(stage).reduce(torch.randn(2, 4, 5, 9)).shape == (2, 4, 5, 7)


def test_patches_do_not_overlap_and_windows_do() -> None:
    def reach(name: str) -> tuple[int, ...]:
        """Pixels that the first key sees."""
        stage = StageConfig(1, 16, 2, 4, global_mixer=name)
        x = torch.randn(1, 8, 16, 16, requires_grad=True)
        stage.operator("global_mixer").build(stage).eval().reduce(x)[0, 0, 1, 1].backward()
        seen = x.grad[0].abs().sum(dim=0).nonzero()
        return tuple((seen.max(dim=0).values - seen.min(dim=0).values + 1).tolist())

    assert reach("sra") == (4, 4)
    assert reach("osra") == (7, 7)


def test_a_mixer_that_stands_alone_or_in_series_has_all_channels() -> None:
    stage = T.stages[1]
    for words, widths in {
        (): (48, 48),
        (("global_mixer", "none"),): (96, 0),
        (("local_mixer", "none"),): (0, 96),
        (("mixing", "series"),): (96, 96),
    }.items():
        other = StageConfig(**{**T.to_dict()["stages"][1], **dict(words)})
        assert (other.local_width, other.global_width) == widths
    assert (stage.local_width, stage.global_width) == (48, 48)


def test_every_part_of_the_network_is_told_apart_in_its_cost() -> None:
    params = {part: cost.params for part, cost in estimate_components(T).items()}
    shares = {part: round(100 * count / sum(params.values()), 1) for part, count in params.items()}
    # The reference's account of T; MS-FFN is its pointwise 68.4 and depthwise 2.6, of which the norms are a part.
    for part, share in {
        "head": 3.5,
        "local_mixer": 3.1,
        "token_enhancer": 2.6,
        "position_table": 2.2,
        "dpe": 1.5,
    }.items():
        assert shares[part] == pytest.approx(share, abs=0.11), part
    assert shares["global_mixer"] == pytest.approx(7.0, abs=0.11)
    assert shares["stem"] + shares["downsampling"] == pytest.approx(8.9, abs=0.11)


@pytest.fixture
def motley(small_arch: ArchConfig) -> ArchConfig:
    """A network of many controls at once."""
    return small_arch.with_stages(
        depth=[1] * 4,
        idconv_reduction=[1] * 4,
        local_mixer=["dyconv", "d_dwconv", "dwconv", "none"],
        global_mixer=["sra", "pooled", "full", "osra"],
        mixing=["parallel", "series", "parallel", "parallel"],
        token_enhancer=["conv1x1", "none", "ste", "conv1x1"],
        ffn=["plain", "inverted_residual", "msffn", "plain"],
        dpe=[True, False, True, False],
        position_table=[True, False, True, True],
        layer_scale=[False, True, True, False],
    )


def ready(arch: ArchConfig, **settings: object) -> TransXNet:
    torch.manual_seed(0)
    network = TransXNet(arch, **settings)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    return network.eval()


def test_a_network_of_controls_is_exported_to_onnx_with_any_batch(motley: ArchConfig, tmp_path: Path) -> None:
    import onnxruntime

    network, batch = ready(motley, kernels="pytorch"), torch.export.Dim.DYNAMIC
    image = torch.randn(3, 3, 32, 32)
    program = torch.onnx.export(network, (image,), dynamo=True, dynamic_shapes=({0: batch},), verbose=False)
    program.save(tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    for count in (1, 5):
        image = torch.randn(count, 3, 32, 32)
        (logits,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
        torch.testing.assert_close(torch.from_numpy(logits), network(image), rtol=1e-3, atol=1e-3)


def test_a_network_of_controls_is_traced_and_recomputed(motley: ArchConfig) -> None:
    network, image = ready(motley), torch.randn(2, 3, 32, 32)
    traced = torch.jit.trace(network, image, check_trace=False)
    torch.testing.assert_close(traced(image), network(image), rtol=1e-4, atol=1e-4)
    gradients = []
    for recompute in (False, True):
        network.train().zero_grad()
        network.set_grad_checkpointing(recompute)
        network(image).square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in network.parameters()])
    torch.testing.assert_close(*gradients)


def test_timm_makes_a_network_of_controls(motley: ArchConfig) -> None:
    import timm

    features = timm.create_model("transxnet_t", arch=motley, features_only=True, num_classes=5)
    widths = [stage.width for stage in motley.stages]
    assert [x.shape[1] for x in features(torch.randn(2, 3, 32, 32))] == widths
