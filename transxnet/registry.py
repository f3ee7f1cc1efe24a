"""Registers the networks with timm: the published ones, and variants that were exported to folders.

timm and the network's modules are imported on use: registration runs at the end of timm's own import, whoever
asked for that, also one of those modules.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from transxnet import models
from transxnet.arch import ArchConfig
from transxnet.variants import VARIANTS

CUSTOM = "custom_transxnet"
"""The name under which `local-dir:` finds any network; it has no architecture of its own."""
DEFAULT_FOLDER = Path("variants")
FOLDERS_VARIABLE = "TRANSXNET_VARIANTS"
WEIGHTS_FILE = "model.safetensors"
NAME_PATTERN = r"[A-Za-z_][A-Za-z0-9_]{0,63}"


def register_all() -> None:
    """Register the published networks and every variant found in `variant_folders`."""
    for name, variant in VARIANTS.items():
        cfg = default_cfg(variant.arch, crop_pct=variant.crop)
        _register(name, variant.arch, cfg, {"drop_path_rate": variant.drop_path_rate})
    _register(CUSTOM, None, default_cfg(next(iter(VARIANTS.values())).arch), {})
    for folder in variant_folders():
        _register_found(folder)


def default_cfg(arch: ArchConfig, **changes: Any) -> dict[str, Any]:
    """timm's pretrained_cfg of a network without weights; `changes` replace or add entries."""
    return {
        "input_size": (arch.in_channels, *arch.image_size),
        "num_classes": arch.num_classes,
        "pool_size": arch.grids()[-1],
        "interpolation": "bicubic",
        "crop_pct": 0.9,
        "mean": (0.485, 0.456, 0.406)[: arch.in_channels] if arch.in_channels <= 3 else (0.5,) * arch.in_channels,
        "std": (0.229, 0.224, 0.225)[: arch.in_channels] if arch.in_channels <= 3 else (0.5,) * arch.in_channels,
        "first_conv": "stem.conv",
        "classifier": "head.fc",
        "license": "apache-2.0",
        **changes,
    }


def variant_folders() -> Iterator[Path]:
    """Folders of exported variants: those below ./variants and below each path in TRANSXNET_VARIANTS."""
    roots = [DEFAULT_FOLDER, *map(Path, filter(None, os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)))]
    for root in dict.fromkeys(root.resolve() for root in roots):
        # Hidden folders are exports that were never finished.
        yield from sorted(path.parent for path in root.glob("*/config.json") if not path.parent.name.startswith("."))


def register_variant(folder: Path) -> str:
    """Register the variant exported to `folder` under its name, the folder's; returns the name.

    Raises ValueError if the folder does not hold an exported variant or its name is taken.
    """
    from timm.models import is_model

    name = check_variant_name(folder.name)
    try:
        config = json.loads((folder / "config.json").read_text())
        arguments = dict(config["model_args"])
        arch = ArchConfig.from_dict(arguments.pop("arch"))
        cfg = dict(config["pretrained_cfg"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{folder} does not hold an exported variant: {error}") from error
    if is_model(name) or hasattr(models, name):
        raise ValueError(f"timm already knows a model {name!r}; rename the folder {folder}")
    weights = folder / WEIGHTS_FILE
    if weights.is_file():
        cfg["file"] = str(weights)
    _register(name, arch, cfg, arguments)
    return name


def check_variant_name(name: str) -> str:
    """`name`, if timm can take it for a model; raises ValueError otherwise."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise ValueError(
            f"a variant's name must be a Python identifier of at most 64 letters, digits and underscores, "
            f"got {name!r}; try {re.sub(r'[^A-Za-z0-9_]+', '_', name).strip('_')[:64] or 'my_variant'!r}"
        )
    return name


def _register_found(folder: Path) -> None:
    # One broken folder must not keep a user from importing the package: it is told and passed over.
    try:
        register_variant(folder)
    except ValueError as error:
        warnings.warn(f"variant not registered: {error}", stacklevel=2)


def _register(name: str, arch: ArchConfig | None, cfg: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    from timm.models import generate_default_cfgs, register_model

    models.default_cfgs.update(generate_default_cfgs({name: dict(cfg)}))
    register_model(_entrypoint(name, arch, defaults))


def _entrypoint(name: str, arch: ArchConfig | None, defaults: Mapping[str, Any]) -> Callable[..., Any]:
    def entrypoint(pretrained: bool = False, **kwargs: Any) -> Any:
        from transxnet.entrypoints import build

        chosen = kwargs.pop("arch", arch)
        if chosen is None:
            raise ValueError(f"{name} has no architecture of its own, got no arch; pass arch=ArchConfig(...)")
        return build(name, chosen, pretrained=pretrained, **{**defaults, **kwargs})

    entrypoint.__name__ = entrypoint.__qualname__ = name
    entrypoint.__doc__ = f"TransXNet registered as {name}."
    # timm looks for an entry point's settings in its module; that of the names holds nothing else to collide with.
    entrypoint.__module__ = models.__name__
    setattr(models, name, entrypoint)
    return entrypoint
