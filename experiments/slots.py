"""How trials share the machines: what each gets, and how many run at once."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from experiments.cluster import alive_nodes
from transxnet.kernels.names import AUTO, check_name, describe_auto


@dataclass(frozen=True)
class ResourcesConfig:
    """What a trial gets, and how many run at once. Raises ValueError for a value out of range."""

    cpus: float = 1
    """CPU cores of a trial, and its torch threads: one a trial and one trial a core is fastest."""
    gpus: float | None = None
    """GPUs of a trial, fractions allowed; None: one if there are any."""
    max_concurrent: int | None = None
    """Trials at once; None: as many as the cores and GPUs allow."""
    custom: Mapping[str, float] = field(default_factory=dict)
    """Of Ray's custom resources, what a trial takes: it runs only on nodes that were started with them."""
    deterministic: bool = False
    """Whether trials must repeat bit for bit: on a CPU they do, on GPUs this is refused, see `plan_slots`."""
    kernels: str = AUTO
    """How blocks are computed: auto, reference, pytorch, native or triton. All compute the same up to rounding."""

    def __post_init__(self) -> None:
        if not self.cpus > 0:
            raise ValueError(f"resources.cpus must be above 0, got {self.cpus:g}; write for example resources.cpus=1")
        gpus = self.gpus or 0.0
        if not gpus >= 0 or (gpus > 1 and gpus % 1):
            raise ValueError(
                f"resources.gpus must be between 0 and 1 or a whole number, got {gpus:g}; write resources.gpus=1"
            )
        if self.max_concurrent is not None and self.max_concurrent < 1:
            raise ValueError(
                f"resources.max_concurrent must be at least 1, got {self.max_concurrent}; write for example 2"
            )
        for name, wanted in self.custom.items():
            if not wanted > 0 or name in ("CPU", "GPU"):
                raise ValueError(
                    f"resources.custom must give names of a cluster's own resources numbers above 0, got {name}: "
                    f"{wanted}; cores and GPUs are resources.cpus and resources.gpus"
                )
        check_name(self.kernels)


@dataclass(frozen=True)
class Slots:
    """How the trials share the machines."""

    cpus: float
    gpus: float
    concurrent: int
    deterministic: bool = False
    kernels: str = AUTO
    custom: Mapping[str, float] = field(default_factory=dict)

    @property
    def bundle(self) -> dict[str, float]:
        """What Ray reserves for a trial."""
        return {"CPU": self.cpus, "GPU": self.gpus, **self.custom}

    @property
    def threads(self) -> int:
        """torch threads of a trial."""
        return max(1, int(self.cpus))

    def resources(self) -> dict[str, str | float | bool]:
        """Of a trial, for its record."""
        return {"cpus": self.cpus, "gpus": self.gpus, "deterministic": self.deterministic, "kernels": self.kernels}

    def describe(self) -> str:
        """For people: how many trials at once, and what each has."""
        what = describe_auto() if self.kernels == AUTO and not self.gpus else self.kernels
        hint = "; python -m transxnet.kernels.build makes faster ones" if what == "pytorch" and not self.gpus else ""
        return f"{self.concurrent} at a time, {self.threads} thread(s) each, kernels: {what}{hint}"


def plan_slots(config: ResourcesConfig) -> Slots:
    """Slots on the cluster that is connected; raises ValueError if a trial does not fit or cannot be deterministic."""
    return _slots(config, [node["Resources"] for node in alive_nodes()])


def check_fits_here(config: ResourcesConfig) -> None:
    """Raises ValueError where `plan_slots` would once Ray was started on this machine, which takes seconds."""
    _slots(config, [{"CPU": float(os.cpu_count() or 1), "GPU": float(_gpus_here(config))}])


def _gpus_here(config: ResourcesConfig) -> int:
    """This machine's GPUs, where a trial may not fit for want of them, or must not have one."""
    if not config.gpus and not config.deterministic:
        return 0
    import torch  # takes a second, for which a sweep that asks nothing of GPUs need not wait

    return torch.cuda.device_count()


def _slots(config: ResourcesConfig, nodes: Sequence[Mapping[str, float]]) -> Slots:
    """Slots where the nodes have so much."""
    gpus = _gpus(config, nodes)
    _require_repeatable(config, gpus)
    fits = sum(_fit(config, gpus, node) for node in nodes)
    if fits < 1:
        custom = "".join(f" resources.custom.{name}={wanted:g}" for name, wanted in config.custom.items())
        raise ValueError(
            f"a trial must fit a machine, got resources.cpus={config.cpus:g} resources.gpus={gpus:g}{custom} with "
            f"{' and '.join(_describe_node(config, node) for node in nodes)} there; ask for less"
        )
    concurrent = int(min(fits, config.max_concurrent or math.inf))
    return Slots(config.cpus, gpus, concurrent, config.deterministic, config.kernels, config.custom)


def trial_nodes(config: ResourcesConfig) -> list[dict[str, Any]]:
    """The nodes on which a trial fits: a cluster's head, for one, may be left to Ray itself."""
    gpus = _gpus(config, [node["Resources"] for node in alive_nodes()])
    return [node for node in alive_nodes() if _fit(config, gpus, node["Resources"]) >= 1]


def _gpus(config: ResourcesConfig, nodes: Sequence[Mapping[str, float]]) -> float:
    """GPUs of a trial."""
    return config.gpus if config.gpus is not None else float(any(node.get("GPU") for node in nodes))


def _fit(config: ResourcesConfig, gpus: float, node: Mapping[str, float]) -> float:
    """How many trials fit a node."""
    own = (_whole(node.get(name, 0.0) / wanted) for name, wanted in config.custom.items())
    return min(_whole(node.get("CPU", 0.0) / config.cpus), _fits_gpus(gpus, node.get("GPU", 0.0)), *own)


def _describe_node(config: ResourcesConfig, node: Mapping[str, float]) -> str:
    own = "".join(f", {node.get(name, 0):g} {name}" for name in config.custom)
    return f"{node.get('CPU', 0):g} CPUs, {node.get('GPU', 0):g} GPUs{own}"


def _require_repeatable(config: ResourcesConfig, gpus: float) -> None:
    if config.deterministic and gpus:
        raise ValueError(
            f"deterministic trials must run on CPUs, where they repeat bit for bit, got resources.gpus={gpus:g}: torch "
            f"has no deterministic backward pass on GPUs for IDConv's adaptive average pool, nor for the bicubic "
            f"resizing of position tables; write resources.gpus=0 or resources.deterministic=false"
        )


def _fits_gpus(wanted: float, gpus: float) -> float:
    """How many trials that want so many GPUs, or such a part of one, fit: a part lies on one GPU."""
    if not wanted:
        return math.inf
    return gpus // wanted if wanted > 1 else gpus * _whole(1 / wanted)


def _whole(share: float) -> int:
    """Rounded down, but not for a rounding error: three times a third is one."""
    return math.floor(share + 1e-9)
