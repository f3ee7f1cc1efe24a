"""Every implementation of a block computes what the plain graph computes: one suite over all of them, in float64."""

from __future__ import annotations

import copy

import pytest
import torch
from kernel_parity import (
    FAST,
    a_block,
    assert_same,
    block_step,
    distances,
    ready,
    step,
)
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.utils.flop_counter import FlopCounterMode

from transxnet.kernels.choice import IMPLEMENTATIONS, implementation

SMALL, LARGE = (3, 5), (9, 7)
"""Maps, of which the first is computed as one matrix a channel and the second with convolutions, where that differs."""

SETTINGS = {
    **{f"G{groups}": {"idconv_groups": groups} for groups in range(1, 9)},
    **{f"K{size}": {"idconv_kernel": size} for size in (1, 3, 5, 9)},
    **{f"dpe{size}": {"dpe_kernel": size} for size in (1, 3, 5, 9)},
    **{f"ffn{size}": {"ffn_kernels": (size,)} for size in range(1, 10, 2)},
    "ffn379": {"ffn_kernels": (3, 7, 9), "ffn_ratio": 2.5},
    **{f"osr{s}+{o}": {"osr_stride": s, "osr_overlap": o} for s in (2, 4, 8) for o in (0, 1, 3)},
    "osr1": {"osr_stride": 1},
    "share": {"idconv_share": 0.25},
    "ratio": {"ffn_ratio": 3.3},
    "heads": {"heads": 4},
    "bottlenecks": {"idconv_reduction": 1, "ste_reduction": 2, "ste_floor": 1},
}
SIZES = [(1, 1), (2, 2), (1, 7), (4, 4), (7, 5), (8, 8), (14, 13), (3, 67), (24, 29), (38, 37)]


@pytest.fixture(params=FAST)
def kernels(request: pytest.FixtureRequest) -> str:
    return ready(request)


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=str)
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_a_block_of_any_settings(kernels: str, settings: dict[str, object], size: tuple[int, int]) -> None:
    case = a_block(size, **settings)
    assert_same(block_step(kernels, *case), block_step("reference", *case))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_block_on_any_map(kernels: str, size: tuple[int, int]) -> None:
    case = a_block(size)
    assert_same(block_step(kernels, *case), block_step("reference", *case))


@pytest.mark.parametrize("size", [SMALL, LARGE, (6, 6)], ids=str)
@pytest.mark.parametrize("batch", [2, 40])
def test_a_block_on_any_batch(kernels: str, batch: int, size: tuple[int, int]) -> None:
    block, x, table = a_block(size)
    x = torch.cat([x] * 14)[:batch] + torch.arange(batch).view(-1, 1, 1, 1)
    assert_same(block_step(kernels, block, x, table), block_step("reference", block, x, table))


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=str)
@pytest.mark.parametrize("layout", ["channels_last", "channel-major", "sliced"])
def test_a_block_takes_any_layout(kernels: str, layout: str, size: tuple[int, int]) -> None:
    block, x, table = a_block(size)
    laid_out = {
        "channels_last": x.contiguous(memory_format=torch.channels_last),
        "channel-major": x.transpose(0, 1).contiguous().transpose(0, 1),
        "sliced": torch.cat([x, x], dim=3)[..., : size[1]],
    }[layout]
    compute = implementation(kernels, block, x)
    torch.testing.assert_close(compute(block, laid_out, table), block(x, table), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=str)
@pytest.mark.parametrize("frozen", [False, True])
def test_batch_norms_that_evaluate_use_their_running_statistics(
    kernels: str, frozen: bool, size: tuple[int, int]
) -> None:
    block, x, table = a_block(size)
    for index, norm in enumerate(module for module in block.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        norm.train(not (frozen and index % 2))
    if not frozen:
        block.eval()
    assert_same(block_step(kernels, block, x, table), block_step("reference", block, x, table))


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=str)
@pytest.mark.parametrize("unlike", ["average", "momentum", "untracked", "eps"])
def test_batch_norms_may_differ(kernels: str, unlike: str, size: tuple[int, int]) -> None:
    block, x, table = a_block(size)
    norm = [module for module in block.modules() if isinstance(module, nn.BatchNorm2d)][3]
    if unlike == "average":
        norm.momentum = None
    elif unlike == "momentum":
        norm.momentum = 0.7
    elif unlike == "eps":
        norm.eps = 0.5
    else:
        norm.running_mean = norm.running_var = norm.num_batches_tracked = None
        norm.track_running_stats = False
    assert_same(block_step(kernels, block, x, table), block_step("reference", block, x, table))


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=str)
def test_drop_path_drops_the_same_samples(kernels: str, size: tuple[int, int]) -> None:
    case = a_block(size, drop_path=0.5)
    outcome, truth = block_step(kernels, *case), block_step("reference", *case)
    assert_same(outcome, truth)
    case[0].drop_path.drop_prob = 0.0
    assert not torch.allclose(truth.output["output"], block_step("reference", *case).output["output"])


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=str)
def test_frozen_parameters_get_no_gradient(kernels: str, size: tuple[int, int]) -> None:
    block, x, table = a_block(size)
    for index, parameter in enumerate(block.parameters()):
        parameter.requires_grad_(index % 3 == 0)
    outcome, truth = block_step(kernels, block, x, table), block_step("reference", block, x, table)
    assert_same(outcome, truth)
    assert outcome.gradients.keys() == truth.gradients.keys()


def test_a_single_value_a_channel_is_refused_in_training(kernels: str) -> None:
    block, x, table = a_block((1, 1))
    with pytest.raises(ValueError, match="more than"):
        implementation(kernels, block, x[:1])(block, x[:1], table)


# What is done with networks.


def test_compiled(kernels: str) -> None:
    for size in (SMALL, LARGE):
        block, x, table = a_block(size)
        compiled = copy.deepcopy(block)

        # PyTorch stands in for the native kernels: their second map need not be compiled for sizes not yet known.
        @torch.compile(backend="aot_eager", fullgraph=True, dynamic=None if kernels == "pytorch" else False)
        def compute(x: Tensor, table: Tensor, block: nn.Module = compiled) -> Tensor:
            return implementation(kernels, block, x)(block, x, table)

        assert_same(step(compiled, compute, x, table), block_step("reference", block, x, table))


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=str)
def test_the_gradient_has_a_gradient_or_says_that_it_has_none(kernels: str, size: tuple[int, int]) -> None:
    case = a_block(size)

    def curvature(name: str) -> dict[str, Tensor]:
        block, x, table = copy.deepcopy(case)
        out = implementation(name, block, x)(block, x, table).sin().sum()
        parameters = list(block.parameters())
        gradients = torch.autograd.grad(out, parameters, create_graph=True)
        sum(gradient.square().sum() for gradient in gradients).backward()
        return {name: parameter.grad for name, parameter in block.named_parameters()}

    try:
        found = curvature(kernels)
    except RuntimeError as error:
        if "once_differentiable" not in str(error):
            raise
    else:
        assert max(distances(found, curvature("reference")).values()) < 1e-9


# Where the plain graph stands in.


def test_hooked_modules_are_called(kernels: str) -> None:
    block, x, table = a_block(SMALL)
    seen: list[torch.Size] = []
    hook = block.ffn.norm.register_forward_hook(lambda module, args, out: seen.append(out.shape))
    implementation(kernels, block, x)(block, x, table)
    assert seen == [(3, 64, *SMALL)]
    hook.remove()
    implementation(kernels, block, x)(block, x, table)
    assert len(seen) == 1


def test_watched_computations_are_plain(kernels: str) -> None:
    block, x, table = a_block(SMALL)
    with FlopCounterMode(display=False) as counted:
        implementation(kernels, block, x)(block, x, table)
    with FlopCounterMode(display=False) as expected:
        block(x, table)
    assert counted.get_total_flops() >= 0.9 * expected.get_total_flops()
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, torch.ones_like(x))
        slope = forward_ad.unpack_dual(implementation(kernels, block, dual)(block, dual, table)).tangent
        torch.testing.assert_close(slope, forward_ad.unpack_dual(block(dual, table)).tangent)


def test_exchanged_modules_are_used(kernels: str) -> None:
    block, x, table = a_block(LARGE)
    block.mixer.ste = nn.Tanh()
    compute = implementation(kernels, block, x)
    assert compute is IMPLEMENTATIONS["reference"]
    torch.testing.assert_close(compute(block, x, table), block(x, table))
