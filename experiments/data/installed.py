"""Finding files that ship inside an installed package, without importing it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def installed_file(package: str, file: str) -> Path:
    """The path of `file` inside the package's folder; raises ValueError if either is not there."""
    spec = find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        if (path := Path(folder) / file).is_file():
            return path
    raise ValueError(f"the data come with the package {package}, whose {file} was not found; reinstall {package}")
