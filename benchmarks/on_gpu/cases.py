"""What is trained in the GPU benchmark: TransXNet at several scales, and timm's networks beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
import yaml
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from experiments.fidelity import Fidelity, proxy_arch
from transxnet.arch import ArchConfig
from transxnet.cost import estimate
from transxnet.network import TransXNet
from transxnet.variants import VARIANTS

PROXIES = Path(__file__).parents[2] / "experiments" / "conf" / "proxy"
TIMM_NETWORKS = ("pvt_v2_b1", "convnext_atto", "swin_tiny_patch4_window7_224")
T = VARIANTS["transxnet_t"].arch


@dataclass(frozen=True)
class Case:
    """A network to train, by any of its implementations."""

    name: str
    make: Callable[[str], nn.Module]
    """Builds the network by the name of an implementation, on the CPU."""
    implementations: tuple[str, ...]
    """The first is what the others are compared with."""
    image_size: int
    batch: int
    num_classes: int
    gmacs: float
    """Multiply-adds of a forward pass of one image, in billions."""


REFERENCE = "reference"
CHANNELS_LAST = "channels_last"
"""The reference's graph on channels_last tensors."""
TRANSXNET_IMPLEMENTATIONS = (REFERENCE, CHANNELS_LAST, "pytorch", "triton")
TIMM_IMPLEMENTATION = "timm"


def all_cases(batch: int = 128) -> list[Case]:
    """Proxies, T at 224 pixels, and timm's networks at 224 pixels."""
    return [
        transxnet_case("small_32", small_arch(), batch),
        *(transxnet_case(f"proxy_{name}", proxy(name), batch) for name in ("cifar", "gpu")),
        transxnet_case("transxnet_t_224", T, batch),
        *(timm_case(name, 224, batch) for name in TIMM_NETWORKS),
    ]


def small_arch() -> ArchConfig:
    """T at half its widths, with 1, 1, 2 and 1 blocks, for 32 pixels."""
    stages = tuple(
        dataclasses.replace(stage, depth=depth, width=stage.width // 2)
        for stage, depth in zip(T.stages, (1, 1, 2, 1), strict=True)
    )
    return T.replace(stages=stages, image_size=(32, 32), num_classes=10)


def proxy(name: str) -> ArchConfig:
    """What the proxy `name` trains in T's place on colour images of ten classes."""
    fidelity = Fidelity(**yaml.safe_load((PROXIES / f"{name}.yaml").read_text()))
    return proxy_arch(T, fidelity, channels=3, num_classes=10)


def transxnet_case(name: str, arch: ArchConfig, batch: int) -> Case:
    """A TransXNet on images of the size that `arch` is made for."""

    def make(implementation: str) -> nn.Module:
        return TransXNet(arch, kernels=REFERENCE if implementation == CHANNELS_LAST else implementation)

    gmacs = estimate(arch).gmacs
    return Case(name, make, TRANSXNET_IMPLEMENTATIONS, arch.image_size[0], batch, arch.num_classes, gmacs)


def timm_case(name: str, image_size: int, batch: int) -> Case:
    """One of timm's networks, untrained."""

    def make(implementation: str) -> nn.Module:
        network: nn.Module = timm.create_model(name)
        return network

    return Case(name, make, (TIMM_IMPLEMENTATION,), image_size, batch, 1000, counted_gmacs(name, image_size))


def counted_gmacs(name: str, image_size: int) -> float:
    """Multiply-adds of timm's network by torch's own counter, in billions; nothing is computed."""
    with torch.device("meta"):
        network = timm.create_model(name).eval()
        image = torch.empty(1, 3, image_size, image_size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    return float(counter.get_total_flops()) / 2 / 1e9
