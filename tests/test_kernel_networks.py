"""Networks of every implementation: the reference's numbers, the official ones, and all that is done with networks."""

from __future__ import annotations

import copy
import functools
import json
import pickle
from dataclasses import replace
from pathlib import Path

import golden
import pytest
import torch
from kernel_parity import (
    FAST,
    Outcome,
    assert_same,
    mean_squared_errors,
    randomise,
    ready,
    step,
)
from timm.utils import freeze
from torch import Tensor, nn

from transxnet.arch import ArchConfig
from transxnet.checkpoint import rename_official
from transxnet.kernels.choice import IMPLEMENTATIONS, implementation
from transxnet.kernels.names import AUTO, NAMES
from transxnet.network import TransXNet
from transxnet.variants import VARIANTS

DATA = Path(__file__).parent / "data"
GOLDEN = json.loads((DATA / "golden_t.json").read_text())


@pytest.fixture(params=FAST)
def kernels(request: pytest.FixtureRequest) -> str:
    return ready(request)


@pytest.fixture(scope="session")
def arch(small_arch: ArchConfig) -> ArchConfig:
    """Maps of 16 x 16 down to 2 x 2: large and small ones."""
    return small_arch.with_stages(depth=(1, 1, 1, 1)).replace(stem_stride=2)


def network(arch: ArchConfig, kernels: str, seed: int = 0, **kwargs: float) -> TransXNet:
    net = TransXNet(arch, kernels=kernels, **kwargs).double().train()
    randomise(net, seed)
    return net


def images(batch: int = 3, size: tuple[int, int] = (32, 32), seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, *size, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("size", [(32, 32), (36, 28), (35, 50)], ids=str)
@pytest.mark.parametrize("stem_stride", [2, 4])
def test_a_network_at_any_image_size(
    kernels: str, small_arch: ArchConfig, stem_stride: int, size: tuple[int, int]
) -> None:
    arch = small_arch.replace(stem_stride=stem_stride)  # tables of 32 px: resized where the image differs
    outcomes = [network_step(arch, name, images(size=size)) for name in (kernels, "reference")]
    assert_same(*outcomes)


def network_step(arch: ArchConfig, kernels: str, image: Tensor, seed: int = 0, **kwargs: float) -> Outcome:
    net = network(arch, kernels, seed, **kwargs)
    return step(net, net, image)


def test_a_network_drops_the_same_paths(kernels: str, arch: ArchConfig) -> None:
    outcomes = [network_step(arch, name, images(8), drop_path_rate=0.6) for name in (kernels, "reference")]
    assert_same(*outcomes)


def rounding_errors(arch: ArchConfig, kernels: str, autocast: bool) -> dict[str, float]:
    """Mean squared error of a float32 step against float64, over four networks."""
    return {
        kind: sum(errors[kind] for errors in _errors_of_seeds(arch, kernels, autocast))
        for kind in ("output", "gradients", "buffers")
    }


@functools.lru_cache(maxsize=8)
def _errors_of_seeds(arch: ArchConfig, kernels: str, autocast: bool) -> list[dict[str, float]]:
    errors = []
    for seed in range(4):
        truth = network_step(arch, "reference", images(8, seed=seed), seed)
        net = network(arch, kernels, seed).float()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            errors.append(mean_squared_errors(step(net, net, images(8, seed=seed).float()), truth))
    return errors


@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("stem_stride", [2, 4])
def test_rounding_errors_are_like_the_references_own(
    kernels: str, small_arch: ArchConfig, stem_stride: int, autocast: bool
) -> None:
    arch = small_arch.replace(stem_stride=stem_stride)
    errors, own = (rounding_errors(arch, name, autocast) for name in (kernels, "reference"))
    ratios = {kind: (errors[kind] / own[kind]) ** 0.5 for kind in own}
    assert max(ratios.values()) <= 3, ratios
    assert min(own.values()) > 0


def test_golden_logits(kernels: str, golden_state: dict[str, Tensor]) -> None:
    net = golden_network(golden_state, kernels).eval()
    with torch.no_grad():
        logits = net(golden.image(2, 64, 64).double())
    known = GOLDEN["eval_64"]
    first = torch.tensor(known["first10"], dtype=torch.float64)
    torch.testing.assert_close(logits.flatten()[:10], first, rtol=1e-9, atol=0)
    assert logits.norm().item() == pytest.approx(known["norm"], rel=1e-9)


def test_golden_gradients_and_statistics(kernels: str, golden_state: dict[str, Tensor]) -> None:
    net = golden_network(golden_state, kernels).train()
    image = golden.image(4, 64, 64).double().requires_grad_()
    loss = nn.functional.cross_entropy(net(image), torch.tensor([3, 141, 592, 653]))
    loss.backward()
    known = GOLDEN["train_64"]
    assert loss.item() == pytest.approx(known["loss"], rel=1e-9)
    assert image.grad.norm().item() == pytest.approx(known["input_grad_norm"], rel=1e-9)
    parameters = dict(net.named_parameters())
    for key, norm in known["grad_norms"].items():
        assert parameters[rename_official(key)].grad.norm().item() == pytest.approx(norm, rel=1e-9), key
    for key, statistics in known["bn_after"].items():
        norm_layer = net.get_submodule(rename_official(key + ".").rstrip("."))
        assert norm_layer.running_mean.sum().item() == pytest.approx(statistics["running_mean_sum"], rel=1e-9)
        assert norm_layer.running_var.sum().item() == pytest.approx(statistics["running_var_sum"], rel=1e-9)
        assert norm_layer.num_batches_tracked.item() == statistics["num_batches_tracked"]


@pytest.fixture(scope="module")
def golden_state() -> dict[str, Tensor]:
    import ast

    rows = [line.split("\t") for line in (DATA / "official_state_t.tsv").read_text().splitlines()]
    state = golden.official_state({key: ast.literal_eval(shape) for key, shape in rows})
    return {rename_official(key): value for key, value in state.items()}


def golden_network(state: dict[str, Tensor], kernels: str) -> TransXNet:
    with torch.device("meta"):
        net = TransXNet(VARIANTS["transxnet_t"].arch, kernels=kernels)
    net.load_state_dict({name: value.clone() for name, value in state.items()}, assign=True)
    return net.double()


def test_checkpointing(kernels: str, arch: ArchConfig) -> None:
    net = network(arch, kernels)
    net.set_grad_checkpointing()
    recomputed, truth = step(net, net, images()), network_step(arch, "reference", images())
    # The statistics move once more where a block is computed again, in the reference too.
    assert_same(replace(recomputed, buffers=truth.buffers), truth)


def test_transformed_by_torch_func(kernels: str, arch: ArchConfig) -> None:
    net = network(arch, kernels).eval()

    def loss(image: Tensor) -> Tensor:
        return net(image[None]).square().sum()

    found = torch.func.grad(loss)(images(1)[0])
    net.set_kernels("reference")
    torch.testing.assert_close(found, torch.func.grad(loss)(images(1)[0]))


def test_exported_to_onnx_with_any_batch(kernels: str, small_arch: ArchConfig, tmp_path: Path) -> None:
    import onnxruntime

    net = network(small_arch.with_stages(depth=(1, 1, 1, 1)), kernels).float().eval()
    batch = torch.export.Dim.DYNAMIC
    program = torch.onnx.export(net, (images().float(),), dynamo=True, dynamic_shapes=({0: batch},), verbose=False)
    program.save(tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    net.set_kernels("reference")
    for count in (1, 5):
        image = images(count).float()
        (logits,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
        torch.testing.assert_close(torch.from_numpy(logits), net(image), rtol=1e-3, atol=1e-4)


def test_traced(kernels: str, arch: ArchConfig) -> None:
    net = network(arch, kernels).eval()
    traced = torch.jit.trace(net, images(), check_trace=False)
    net.set_kernels("reference")
    torch.testing.assert_close(traced(images(seed=1)), net(images(seed=1)), rtol=1e-10, atol=1e-10)


def test_trained_after_inference_mode(kernels: str, arch: ArchConfig) -> None:
    net = network(arch, kernels)
    with torch.inference_mode():
        copy.deepcopy(net).eval()(images())
    assert_same(step(net, net, images()), network_step(arch, "reference", images()))


def test_copied_and_pickled(kernels: str, arch: ArchConfig) -> None:
    net = network(arch, kernels).eval()
    out = net(images())
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert twin.kernels == kernels
        assert torch.equal(twin(images()), out)


def test_steps_repeat_bit_for_bit(kernels: str, arch: ArchConfig) -> None:
    first, second = (network_step(arch, kernels, images(8), drop_path_rate=0.3) for _ in range(2))
    for kind, values in first.kinds().items():
        assert all(torch.equal(value, second.kinds()[kind][name]) for name, value in values.items())


def test_synchronised_and_frozen_batch_norms_are_used(kernels: str, arch: ArchConfig) -> None:
    net = network(arch, kernels)
    as_built = copy.deepcopy(net).eval()(images())
    synchronised = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(net)).eval()
    frozen = copy.deepcopy(net)
    freeze(frozen, ["stages.0", "stages.3"])
    for other in (synchronised, frozen.eval()):
        first = other.stages[0].blocks[0]
        assert implementation(kernels, first, torch.zeros(1, dtype=torch.float64)) is IMPLEMENTATIONS["reference"]
        torch.testing.assert_close(other(images()), as_built, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["fast", ""])
def test_an_unknown_name_is_refused(arch: ArchConfig, name: str) -> None:
    with pytest.raises(ValueError, match=f"kernels must be one of {AUTO}, reference, .*got '{name}'"):
        TransXNet(arch, kernels=name)


def test_each_name_has_an_implementation() -> None:
    assert tuple(IMPLEMENTATIONS) == NAMES
