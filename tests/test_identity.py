"""Two descriptions have one id exactly if the networks built from them run the same operations on the same shapes."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_archs import architectures
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from transxnet.arch import ArchConfig
from transxnet.cost import estimate
from transxnet.network import TransXNet

Step = tuple[Any, ...]


class Wiring(TorchDispatchMode):
    """Writes down each operation with its shapes, and which tensors it took from which earlier operation."""

    def __init__(self, network: TransXNet) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self._held: list[Tensor] = []  # so that no id is used twice
        self._names: dict[int, int] = {}
        self._learned = {id(tensor) for tensor in (*network.parameters(), *network.buffers())}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given, _ = tree_flatten((args, kwargs or {}))
        out = function(*args, **(kwargs or {}))
        made, _ = tree_flatten(out)
        self.steps.append((str(function), *map(self._word, given), "->", *map(self._word, made)))
        return out

    def _word(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return repr(value)
        self._held.append(value)
        name = self._names.setdefault(id(value), len(self._names))
        return name, tuple(value.shape), id(value) in self._learned


def wiring(arch: ArchConfig) -> tuple[Step, ...]:
    """What the plain graph of `arch` runs for two images of its own size, and the shapes of all it learns.

    It is really run: the meta device computes shapes in Python, which takes longer for images so small.
    """
    network = TransXNet(arch, kernels="reference").eval()
    images = torch.zeros(2, arch.in_channels, *arch.image_size)
    learned = tuple(sorted(tuple(parameter.shape) for parameter in network.parameters()))
    with torch.no_grad(), Wiring(network) as seen:
        network(images)
    grids = tuple(arch.grids())
    return (learned, grids, tuple(step for step in without_image(seen.steps, images)))


def without_image(steps: list[Step], images: Tensor) -> list[Step]:
    """Steps in which the image's own shape is not told: sizes that give the same maps are the same network."""
    shape = tuple(images.shape)
    return [tuple("image" if isinstance(word, tuple) and shape in word else word for word in step) for step in steps]


@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(architectures(few=True), min_size=30, max_size=30))
def test_ids_are_equal_exactly_where_the_built_networks_are(archs: list[ArchConfig]) -> None:
    wirings, ids = defaultdict(set), defaultdict(set)
    for arch in archs:
        built = wiring(arch)
        wirings[arch.id].add(built)
        ids[built].add(arch.id)
    assert all(len(built) == 1 for built in wirings.values()), "one id, different networks"
    assert all(len(names) == 1 for names in ids.values()), "one network, different ids"


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(architectures(few=True), st.data())
def test_a_change_of_one_word_changes_the_id_exactly_if_it_is_felt(arch: ArchConfig, data: st.DataObject) -> None:
    field = data.draw(st.sampled_from(list(OTHER_VALUES)))
    try:
        changed = arch.with_stages(
            **{field: [data.draw(st.sampled_from(OTHER_VALUES[field])), *arch.column(field)[1:]]}
        )
    except ValueError:
        return
    assert (changed.id == arch.id) == (wiring(changed) == wiring(arch))
    if changed.id == arch.id:
        assert estimate(changed) == estimate(arch)


OTHER_VALUES: dict[str, list[Any]] = {
    "heads": [1, 2, 4], "osr_stride": [1, 2, 4], "osr_overlap": [0, 1, 3], "idconv_share": [0.25, 0.5, 0.75],
    "idconv_kernel": [3, 5, 7], "idconv_groups": [1, 2, 3], "idconv_reduction": [1, 2, 4],
    "ffn_ratio": [2.0, 2.01, 3.0],
    "ffn_kernels": [(3,), (1, 3), (1, 3, 5)], "ste_reduction": [1, 8, 16], "ste_floor": [1, 8, 16],
    "dpe_kernel": [3, 5], "local_mixer": ["none", "dwconv", "idconv"], "global_mixer": ["none", "sra", "full", "osra"],
    "mixing": ["parallel", "series"], "token_enhancer": ["none", "conv1x1", "ste"],
    "ffn": ["msffn", "inverted_residual", "plain"], "dpe": [True, False], "position_table": [True, False],
    "layer_scale": [True, False],
}  # fmt: skip


def test_the_same_network_under_other_words(small_arch: ArchConfig) -> None:
    def same(left: dict[str, Any], right: dict[str, Any]) -> bool:
        one, other = (
            small_arch.with_stages(**{name: [value] * 4 for name, value in words.items()}) for words in (left, right)
        )
        assert (wiring(one) == wiring(other)) == (one.id == other.id)
        return one.id == other.id

    assert same({"ffn": "inverted_residual"}, {"ffn": "msffn", "ffn_kernels": (3,)})
    assert same({"global_mixer": "sra", "osr_stride": 1}, {"global_mixer": "full", "osr_stride": 8})
    assert same({"local_mixer": "none", "mixing": "series"}, {"local_mixer": "none", "idconv_groups": 5})
    assert same({"global_mixer": "none", "position_table": False}, {"global_mixer": "none", "heads": 1})
    assert not same({"local_mixer": "idconv", "idconv_groups": 1}, {"local_mixer": "dwconv"})
    assert not same({"global_mixer": "osra", "osr_stride": 1}, {"global_mixer": "full"})
    assert not same({"mixing": "series"}, {"mixing": "parallel"})
