"""All that decides a trial's result, in one value."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from experiments.data.config import DataConfig
from experiments.fidelity import Fidelity
from experiments.recipe import Recipe
from transxnet.arch import ArchConfig


@dataclass(frozen=True)
class TrialSpec:
    """One training to be done. Equal keys give equal results on one kind of machine."""

    arch: ArchConfig
    """The network that is trained: the target at the proxy's size."""
    recipe: Recipe
    fidelity: Fidelity
    data: DataConfig
    data_fingerprint: str
    seed: int

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits of a hash of what is trained on what and how; not of where the data lie."""
        decides = {
            "arch": self.arch.id,
            "recipe": dataclasses.asdict(self.recipe),
            "data": [self.data.name, self.data_fingerprint],  # the name decides whether images may be mirrored
            "data_share": self.fidelity.data_share,
            "epochs": self.fidelity.epochs,
            "seed": self.seed,
        }
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; `from_dict` is the inverse."""
        return {
            "arch": self.arch.to_dict(),
            "recipe": dataclasses.asdict(self.recipe),
            "fidelity": dataclasses.asdict(self.fidelity),
            "data": dataclasses.asdict(self.data),
            "data_fingerprint": self.data_fingerprint,
            "seed": self.seed,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> TrialSpec:
        """The spec that `to_dict` described."""
        return cls(
            arch=ArchConfig.from_dict(plain["arch"]),
            recipe=Recipe(**plain["recipe"]),
            fidelity=Fidelity(**plain["fidelity"]),
            data=DataConfig(**plain["data"]),
            data_fingerprint=plain["data_fingerprint"],
            seed=plain["seed"],
        )
