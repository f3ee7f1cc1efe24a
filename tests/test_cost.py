"""Closed form, fvcore and torch's own counter agree on what a network costs."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from transxnet.cost import estimate, measure
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
    assert estimate(VARIANTS["transxnet_t"].arch).by_operator() == {
        "conv": 1_751_310_328, "matmul": 55_780_032, "batch_norm": 26_406_264, "group_norm": 11_493_440,
        "layer_norm": 0, "adaptive_avg_pool2d": 591_136,
    }  # fmt: skip


T = VARIANTS["transxnet_t"].arch


@pytest.mark.parametrize(
    "arch",
    [T, VARIANTS["transxnet_s"].arch, *(T.with_stages(global_mixer=[name] * 4) for name in ("sra", "pooled", "full"))],
    ids=["T", "S", "sra", "pooled", "full"],
)
def test_torch_counts_the_same_products_on_the_meta_device(arch):
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


def test_fused_attention_is_counted_as_its_two_products():
    from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis

    from transxnet.cost.traced import FUSED_ATTENTION, _fused_outputs, _fused_products

    class Fused(torch.nn.Module):
        def forward(self, q, k, v):
            return torch.nn.functional.scaled_dot_product_attention(q, k, v)

    class Apart(torch.nn.Module):
        def forward(self, q, k, v):
            return (q @ k.mT).softmax(dim=-1) @ v

    qkv = torch.zeros(2, 3, 10, 4), torch.zeros(2, 3, 6, 4), torch.zeros(2, 3, 6, 8)
    for count, handle in ((FlopCountAnalysis, _fused_products), (ActivationCountAnalysis, _fused_outputs)):
        assert count(Fused(), qkv).unsupported_ops_warnings(False).total() == 0, "fvcore has learned to count it"
        fused = count(Fused(), qkv).set_op_handle(FUSED_ATTENTION, handle)
        assert fused.by_operator() == count(Apart(), qkv).by_operator()
        assert fused.total() > 0
