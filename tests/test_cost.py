"""Closed form, fvcore and torch's own counter agree on what a network costs."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from transxnet.arch import ArchConfig, StageConfig
from transxnet.cost import OPERATORS, estimate, measure
from transxnet.network import TransXNet
from transxnet.variants import VARIANTS

# Parameters, multiply-adds by fvcore's convention and by the published counter, of the official network.
OFFICIAL = {
    ("transxnet_t", 224): (12_834_808, 1_845_581_200, 1_761_991_208),
    ("transxnet_s", 224): (26_864_068, 4_685_902_592, 4_537_380_712),
    ("transxnet_b", 224): (48_009_002, 8_474_490_904, 8_264_457_928),
    ("transxnet_b", 384): (48_009_002, 25_596_561_304, 24_155_228_768),
}


@pytest.mark.parametrize(("name", "size"), OFFICIAL)
def test_closed_form_gives_the_official_numbers(name, size):
    cost = estimate(VARIANTS[name].arch, (size, size))
    assert (cost.params, cost.macs, cost.macs_published) == OFFICIAL[name, size]


@pytest.mark.parametrize(("name", "size"), OFFICIAL)
def test_fvcore_on_the_built_network_gives_the_official_numbers(name, size):
    cost = measure(VARIANTS[name].arch, (size, size))
    assert (cost.params, cost.macs, cost.macs_published) == OFFICIAL[name, size]
    assert cost == estimate(VARIANTS[name].arch, (size, size))


def test_each_operator_of_t_is_counted_as_in_the_official_graph():
    counted = (1_751_310_328, 55_780_032, 26_406_264, 11_493_440, 591_136)
    assert tuple(estimate(VARIANTS["transxnet_t"].arch).by_operator()[name] for name in OPERATORS) == counted


def random_arch(seed: int) -> ArchConfig:
    rng = np.random.default_rng(seed)

    def stage() -> StageConfig:
        heads = int(rng.choice([1, 2, 3]))
        kernels = rng.choice([1, 3, 5, 7, 9], size=rng.integers(1, 5), replace=False)
        return StageConfig(
            depth=int(rng.integers(1, 3)),
            width=heads * int(rng.choice([8, 12, 16])),
            heads=heads,
            osr_stride=int(rng.choice([1, 2, 4, 8])),
            osr_overlap=int(rng.choice([0, 1, 3])),
            idconv_share=float(rng.choice([0.25, 0.5, 0.75])),
            idconv_kernel=int(rng.choice([1, 3, 5, 7])),
            idconv_groups=int(rng.integers(1, 9)),
            idconv_reduction=int(rng.choice([1, 2])),
            ffn_ratio=float(rng.choice([1.0, 2.5, 4.0])),
            ffn_kernels=tuple(int(k) for k in sorted(kernels)),
            ste_floor=int(rng.choice([1, 16])),
            dpe_kernel=int(rng.choice([1, 3, 7])),
        )

    return ArchConfig(
        stages=tuple(stage() for _ in range(4)),
        image_size=(int(rng.integers(20, 80)), int(rng.integers(20, 80))),
        stem_stride=int(rng.choice([1, 2, 4])),
        in_channels=int(rng.choice([1, 3])),
        num_classes=int(rng.choice([0, 7])),
    )


@pytest.mark.parametrize("seed", range(25))
def test_closed_form_equals_fvcore_on_random_networks_and_images(seed):
    arch = random_arch(seed)
    rng = np.random.default_rng(1000 + seed)
    other = (int(rng.integers(20, 80)), int(rng.integers(20, 80)))
    assert estimate(arch) == measure(arch)
    assert estimate(arch, other) == measure(arch, other)


@pytest.mark.parametrize("name", ["transxnet_t", "transxnet_s"])
def test_torch_counts_the_same_products_on_the_meta_device(name):
    arch = VARIANTS[name].arch
    with torch.device("meta"):
        network = TransXNet(arch).eval()
        image = torch.empty(1, 3, 224, 224)
    with FlopCounterMode(display=False) as counter:
        network(image)
    cost = estimate(arch)
    # torch counts two operations a multiply-add, and neither norms nor pooling.
    assert counter.get_total_flops() == 2 * (cost.conv + cost.matmul)


def test_an_operator_that_nobody_decided_on_is_an_error(monkeypatch, small_arch):
    monkeypatch.setattr("transxnet.cost.traced.UNCOUNTED", {"aten::add"})
    with pytest.raises(ValueError, match=r"must have a decided cost, got .*aten::gelu"):
        measure(small_arch)
