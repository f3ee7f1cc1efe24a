"""What code runs, on what: kept with every trial."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from transxnet.kernels.names import describe_auto
from transxnet.processor import processor_name

if TYPE_CHECKING:
    from db import Provenance

PACKAGE = "transxnet-search"
RECORDED = ("torch", "timm", "numpy", "ray", "optuna", "fvcore", "sqlalchemy", "scikit-image", "scikit-learn")


def provenance(resources: Mapping[str, str | float | bool]) -> Provenance:
    """Of this process and what each of its trials gets; `gpus` of 0 is on the CPU whatever GPUs the machine has."""
    from db import Provenance  # only here: benchmarks of a bare GPU machine tell the code and the machine without it

    return Provenance(code_version(), package_versions(), {**machine(), "trial": dict(resources)})


def code_version() -> str:
    """The installed version, and in a git checkout the commit, "+changes" if files differ from it."""
    version = _version(PACKAGE)
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return version
    commit = _git(root, "rev-parse", "--short=12", "HEAD")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return f"{version} {commit or 'no commit'}{'+changes' if changed else ''}"


@cache
def source_digest() -> str:
    """Sixteen hexadecimal digits of a hash of the code that trials run, whatever version it says it is."""
    root, digest = Path(__file__).resolve().parent.parent, hashlib.sha256()
    for package in ("experiments", "space", "transxnet"):
        for file in sorted((root / package).rglob("*.py")):
            digest.update(f"{file.relative_to(root).as_posix()}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def package_versions() -> dict[str, str]:
    """Versions of the packages that a result may depend on."""
    return {name: _version(name) for name in RECORDED}


def machine() -> dict[str, str | int | list[str]]:
    """Host, processor, cores, GPUs, and what kernels `auto` are on its CPU."""
    import torch  # here: what code runs is told without it, before a sweep starts

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "processor": processor_name(),
        "cores": os.cpu_count() or 0,
        "gpus": gpus,
        "cpu_kernels": describe_auto(),
        "python": platform.python_version(),
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # a checkout that nobody installed
        return "not installed"


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
