"""Hand an architecture over as a model that timm loads: python -m experiments.export study=NAME name=NAME."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import hydra
from omegaconf import DictConfig
from rich.console import Console

from analysis.results import read_results
from db import StorageConfig, Store
from experiments.pick import pick_variant
from experiments.variant_folder import Exported, Order, export_target, export_trial
from space.cli import run_entry_point, to_typed
from transxnet.registry import DEFAULT_FOLDER, FOLDERS_VARIABLE, check_variant_name


@dataclass(frozen=True)
class ExportConfig:
    """What the command line says."""

    storage: StorageConfig
    study: str
    name: str
    pick: str = "best"
    weights: Literal["none", "trial"] = "none"
    seed: int | None = None
    data_path: str | None = None
    replace: bool = False
    variants: str = "variants"
    cache: str = "runs/cache"


@hydra.main(version_base=None, config_path="conf", config_name="export")
def main(cfg: DictConfig) -> None:
    """Entry point."""
    export(to_typed(cfg, ExportConfig), Console(soft_wrap=True))


def export(config: ExportConfig, console: Console) -> None:
    """Write the variant's folder and say how to load it. Raises ValueError or DiskFull; then nothing was changed."""
    with Store.open(config.storage.url, create=False) as store:
        pick = pick_variant(read_results(store, config.study, described=True), config.pick)
        folder = Path(config.variants) / check_variant_name(config.name)
        replaced = folder.exists()
        command = shlex.join(["python", "-m", "experiments.export", *sys.argv[1:]])
        order = Order(folder, command, config.replace)
        exported = (
            export_target(pick, order)
            if config.weights == "none"
            else export_trial(pick, order, store, config.seed, config.data_path, config.cache)
        )
    _tell(exported, config, console, "Replaced" if replaced else "Written to")


def _tell(exported: Exported, config: ExportConfig, console: Console, done: str) -> None:
    arch, folder = exported.arch, exported.folder
    sizes = ", ".join(f"{stage.depth} x {stage.width}" for stage in arch.stages)
    console.print(f"[bold]{config.name}[/]: {exported.what}", highlight=False)
    console.print(
        f"  {exported.cost.params_m:.2f} M parameters, {exported.cost.gmacs:.4g} GMACs at "
        f"{arch.image_size[0]} x {arch.image_size[1]} px; stages {sizes}; architecture {arch.id}",
        highlight=False,
    )
    for line in exported.facts:
        console.print(f"  {line}", highlight=False)
    pretrained = ", pretrained=True" if config.weights == "trial" else ""
    files = ", ".join(sorted(path.name for path in folder.iterdir()))
    console.print(f"\n{done} {folder} ({files}). Load it with", highlight=False, markup=False)
    console.print("  import transxnet, timm", highlight=False, markup=False)
    console.print(f'  timm.create_model("{config.name}"{pretrained})', highlight=False, markup=False)
    console.print(f'  timm.create_model("local-dir:{folder}"{pretrained})', highlight=False, markup=False)
    here = Path(config.variants).resolve() == DEFAULT_FOLDER.resolve()
    console.print(
        f"It is found by name {'from this folder, and ' if here else ''}wherever {FOLDERS_VARIABLE} has "
        f"{folder.parent.resolve()}.",
        highlight=False,
        markup=False,
    )


if __name__ == "__main__":
    run_entry_point(main)
