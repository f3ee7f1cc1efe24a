"""Writing an exported variant: a folder with timm's config.json, the architecture and a model card, or nothing."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch

from db import Store
from experiments.data.load import Dataset
from experiments.data.statistics import channel_statistics
from experiments.fidelity import Fidelity
from experiments.model_card import target_card, trial_card
from experiments.pick import Pick
from experiments.recipe import Recipe
from experiments.spec import TrialSpec
from experiments.trial_weights import TrialWeights, choose_trial, find_weights, measure, open_data, read_weights
from experiments.variant_place import ARCH_FILE, CARD_FILE, CONFIG_FILE, variant_place
from transxnet.arch import ArchConfig
from transxnet.cost import Cost, estimate
from transxnet.registry import CUSTOM, WEIGHTS_FILE, default_cfg
from transxnet.variants import VARIANTS


@dataclass(frozen=True)
class Order:
    """Where an export goes."""

    folder: Path
    command: str
    """What the user typed, for the card."""
    replace: bool = False
    """Whether an exported variant that is there may be replaced."""


@dataclass(frozen=True)
class Exported:
    """A folder that was written."""

    folder: Path
    arch: ArchConfig
    what: str
    """What the network is, in a sentence."""
    facts: tuple[str, ...] = ()
    """What was checked."""

    @property
    def cost(self) -> Cost:
        """At the network's own image size."""
        return estimate(self.arch)


def export_target(pick: Pick, order: Order) -> Exported:
    """Write the target at full size, without weights. Errors as of `variant_place`."""
    what = "the target network at full size, without weights: it is to be trained"
    base = VARIANTS.get(pick.space.base_name)
    drop_path = base.drop_path_rate if base else 0.0
    with variant_place(order.folder, replace=order.replace) as partial:
        config = _timm_config(pick, pick.arch, "target", {"drop_path_rate": drop_path}, default_cfg(pick.arch))
        _write(partial, pick.arch, config, target_card(pick, order.folder.name, order.command))
        _reload(partial, pick.arch, pretrained=False)
    return Exported(order.folder, pick.arch, what)


def export_trial(
    pick: Pick, order: Order, store: Store, seed: int | None, data_path: str | None, cache: str
) -> Exported:
    """Write the network that a trial trained, with its weights, after checking what the reloaded folder does.

    Raises ValueError if weights or data are not those of the trial; other errors as of `variant_place`.
    """
    what = "the network that a trial really trained, at the proxy's size, with its weights; it is not the target"
    study = pick.results.study
    fidelity = Fidelity(**study.fidelity)
    trial = choose_trial(pick.trials, seed)
    artifact = find_weights(store, trial)
    arch = ArchConfig.from_dict(pick.results.architectures[trial.trained_arch_id].description)
    dataset = open_data(study.data, data_path, cache, fidelity.image_size)
    spec = TrialSpec(arch, Recipe(**study.recipe), fidelity, dataset.config, dataset.fingerprint, trial.seed)
    weights = TrialWeights(trial, spec, Path(artifact.path), artifact.sha256)
    state = read_weights(weights)
    with variant_place(order.folder, replace=order.replace) as partial:
        shutil.copyfile(weights.file, partial / WEIGHTS_FILE)
        _write(partial, arch, _timm_config(pick, arch, "trial", {}, _trial_cfg(arch, dataset)), "")
        measured = measure(weights, state, _reload(partial, arch, pretrained=True))
        (partial / CARD_FILE).write_text(trial_card(pick, order.folder.name, order.command, weights, measured))
    return Exported(order.folder, arch, what, measured.sentences())


def _trial_cfg(arch: ArchConfig, dataset: Dataset) -> dict[str, Any]:
    statistics = channel_statistics(dataset.train)
    size = (arch.in_channels, *arch.image_size)
    return default_cfg(
        arch,
        input_size=size,
        mean=statistics.mean,
        std=statistics.std,
        crop_pct=1.0,
        interpolation="bilinear",
        label_names=list(dataset.class_names),
    )


def _timm_config(
    pick: Pick, arch: ArchConfig, kind: str, arguments: dict[str, Any], cfg: dict[str, Any]
) -> dict[str, Any]:
    """timm's config.json; `transxnet` beside timm's own keys says what the folder holds."""
    return {
        "architecture": CUSTOM,
        "num_classes": arch.num_classes,
        "num_features": arch.stages[-1].width,
        "pretrained_cfg": cfg,
        "model_args": {"arch": arch.to_dict(), **arguments},
        "transxnet": {
            "kind": kind,
            "arch_id": arch.id,
            "study": pick.results.study.name,
            "pick": pick.word,
            "target_arch_id": pick.arch.id,
        },
    }


def _write(folder: Path, arch: ArchConfig, config: dict[str, Any], card: str) -> None:
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n")
    (folder / ARCH_FILE).write_text(json.dumps(arch.to_dict(), indent=2) + "\n")
    (folder / CARD_FILE).write_text(card)


def _reload(folder: Path, arch: ArchConfig, *, pretrained: bool) -> torch.nn.Module:
    """The network as timm loads it from the folder, checked against the description."""
    model: torch.nn.Module = timm.create_model(f"local-dir:{folder}", pretrained=pretrained)
    params = sum(parameter.numel() for parameter in model.parameters())
    assert params == estimate(arch).params, "timm builds the network of the description"
    return model
