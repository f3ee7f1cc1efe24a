"""Whether each node of a cluster has the code and the data, asked before a trial could fail there."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from experiments.data.config import DataConfig
from experiments.provenance import source_digest

TIMEOUT_S = 600.0
"""For a node to answer: it may have to decode its copy of the data first."""


def check_nodes(nodes: Sequence[dict[str, Any]], data: DataConfig, image_size: int, fingerprint: str) -> None:
    """Raises ValueError that names the first node without this code, or without the data of this fingerprint."""
    probe, plain = _probe(), dataclasses.asdict(data)
    places = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
    asked = [probe.options(scheduling_strategy=place).remote(plain, image_size) for place in places]
    for node, answer in zip(nodes, asked, strict=True):
        if (found := _answer(node, answer)) is not None:
            _require(_name(node), found, fingerprint)


def _probe() -> Any:
    """A remote function that travels whole: a node without the code could not even read one of a module."""

    def look(data: dict[str, Any], image_size: int) -> dict[str, str]:
        try:
            from experiments.data.config import DataConfig
            from experiments.data.load import load_dataset
            from experiments.provenance import source_digest
        except ImportError as error:
            return {"no code": str(error)}
        try:
            dataset = load_dataset(DataConfig(**data), image_size)
        except (ValueError, OSError) as error:
            return {"code": source_digest(), "no data": str(error)}
        return {"code": source_digest(), "data": dataset.fingerprint}

    look.__module__ = "__main__"  # so that it is sent by value
    return ray.remote(num_cpus=0, max_retries=0)(look)


def _answer(node: dict[str, Any], asked: Any) -> dict[str, str] | None:
    """None of a node that has died meanwhile: no trial will run there."""
    try:
        found: dict[str, str] = ray.get(asked, timeout=TIMEOUT_S)
    except ray.exceptions.RayError as error:
        if not any(other["Alive"] for other in ray.nodes() if other["NodeID"] == node["NodeID"]):
            return None
        last = str(error).strip().splitlines()[-1]
        raise ValueError(f"each node must run the trials' code, but {_name(node)} did not answer: {last}") from error
    return found


def _require(name: str, found: dict[str, str], fingerprint: str) -> None:
    if "no code" in found:
        raise ValueError(
            f"each node must have the code, but {name} has not ({found['no code']}); install this project there, or "
            f"start its Ray in a checkout of it"
        )
    if found["code"] != source_digest():
        raise ValueError(
            f"each node must have the same code, but {name} has another (digest {found['code']}, here "
            f"{source_digest()}); bring both to one version"
        )
    if "no data" in found:
        raise ValueError(f"each node must have the data, but {name} has not: {found['no data']}")
    if found["data"] != fingerprint:
        raise ValueError(
            f"each node must have the same data, but {name} has others (fingerprint {found['data']}, here "
            f"{fingerprint}); copy them there"
        )


def _name(node: dict[str, Any]) -> str:
    return f"node {node['NodeManagerHostname']} ({node['NodeManagerAddress']}, {node['NodeID'][:8]})"
