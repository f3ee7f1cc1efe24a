"""Where an export may write: a place that is free, or that of an exported variant which it was told to replace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import timm

from experiments.whole_folder import whole_folder
from transxnet.registry import CUSTOM, WEIGHTS_FILE, check_variant_name, registered_from

CONFIG_FILE = "config.json"
ARCH_FILE = "arch.json"
CARD_FILE = "README.md"
FILES = frozenset({CONFIG_FILE, ARCH_FILE, CARD_FILE, WEIGHTS_FILE})
"""All that an export writes."""


@contextmanager
def variant_place(folder: Path, *, replace: bool) -> Iterator[Path]:
    """A hidden folder that becomes the variant's when the block ends; see `whole_folder`.

    Raises ValueError if the name is taken, or if there is something that may not be replaced.
    """
    _require_place(folder, replace)
    with whole_folder(folder) as partial:
        yield partial
        _require_place(folder, replace)  # which somebody else may have taken since


def _require_place(folder: Path, replace: bool) -> None:
    name = check_variant_name(folder.name)
    there = folder.exists() or folder.is_symlink()
    if there and not replace:
        raise ValueError(
            f"an export replaces nothing by itself, got {folder}, which exists; "
            f"write replace=true to replace it, or choose another name"
        )
    if timm.is_model(name) and not (there and registered_from(name)):
        raise ValueError(f"name must be new to timm, got {name!r}, which it knows; choose another")
    if there:
        _require_replaceable(folder)


def _require_replaceable(folder: Path) -> None:
    """Nothing is removed but what an export wrote and another can write again."""
    if folder.is_symlink() or not _is_exported(folder):
        raise ValueError(
            f"replace=true replaces an exported variant alone, got {folder}, which is none "
            f"(a folder with {CONFIG_FILE} and {ARCH_FILE} of an export); choose another name"
        )
    if others := sorted(path.name for path in folder.iterdir() if path.name not in FILES):
        raise ValueError(
            f"replace=true replaces what exports write ({', '.join(sorted(FILES))}), got {folder} with "
            f"{others[0]} in it; move that elsewhere"
        )


def _is_exported(folder: Path) -> bool:
    try:
        config = json.loads((folder / CONFIG_FILE).read_text())
    except (OSError, ValueError):
        return False
    ours = isinstance(config, dict) and config.get("architecture") == CUSTOM and "transxnet" in config
    return ours and (folder / ARCH_FILE).is_file()
