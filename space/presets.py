"""The spaces that come with the project, by name, without a command line."""

from __future__ import annotations

from importlib.resources import files

import yaml

from space.space import Space
from space.words import require_known

_FOLDER = files("space.conf") / "space"


def preset_names() -> list[str]:
    """What `space=` takes on the command line, sorted."""
    return sorted(file.name.removesuffix(".yaml") for file in _FOLDER.iterdir() if file.name.endswith(".yaml"))


def load_preset(name: str) -> Space:
    """The space that `space=NAME` is. Raises ValueError for an unknown name."""
    require_known(name, preset_names(), "space")
    return Space.from_dict(yaml.safe_load((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")))
