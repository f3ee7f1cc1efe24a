"""The native library: compiling it, finding it, loading it.

It is built by an explicit command and never at import. A built library is named by a hash of its sources, torch's
version and the machine's architecture: one that does not fit is not found, and blocks are computed without it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import torch

SOURCES = Path(__file__).parent / "csrc"
FOLDER_VARIABLE = "TRANSXNET_NATIVE"
_FLAGS = ("-std=c++20", "-O3", "-fPIC", "-Wall", "-Wno-psabi", "-Wno-sign-compare")

# What the kernels are compiled for; at run time the best that the machine has is taken (csrc/dispatch.cpp).
_INSTRUCTION_SETS = {
    "x86_64": {
        "avx512": ("-march=x86-64-v4", "-mprefer-vector-width=512"),
        "avx2": ("-march=x86-64-v3",),
        "plain": (),
    },
}


def library_file(folder: Path | None = None, sanitize: str | None = None) -> Path:
    """Where the library for this torch and machine is, or would be, in `folder` (the user's cache by default)."""
    kind = f"-{sanitize.replace(',', '-')}" if sanitize else ""
    return (folder or _default_folder()) / f"transxnet-{_key()}{kind}.so"


def build(folder: Path | None = None, sanitize: str | None = None) -> Path:
    """Compile the library, with a sanitizer of the compiler if one is named; returns its file.

    Raises ValueError if there is no compiler or it fails. Takes half a minute on two cores.
    """
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None:
        raise ValueError(
            f"the native kernels need a C++20 compiler, got none as {os.environ.get('CXX', 'g++')!r}; install g++ or "
            f"name another in CXX (without them blocks are computed by PyTorch alone)"
        )
    target = library_file(folder, sanitize)
    target.parent.mkdir(parents=True, exist_ok=True)
    extra = (f"-fsanitize={sanitize}", "-g", "-O1", "-fno-omit-frame-pointer") if sanitize else ()
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch, ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [
            pool.submit(
                _run, [compiler, *_FLAGS, *flags, *extra, "-c", str(SOURCES / source), "-o", f"{scratch}/{name}.o"]
            )
            for name, source, flags in _units()
        ]
        for job in jobs:
            job.result()
        objects = sorted(str(path) for path in Path(scratch).glob("*.o"))
        linked = Path(scratch) / target.name
        _run([compiler, "-shared", *extra, *objects, *_link_flags(), "-o", str(linked)])
        os.replace(linked, target)  # whole or not there, also where two build at once
    load.cache_clear()
    return target


@cache
def load(folder: Path | None = None) -> bool:
    """Make the library's operators known to torch; False if it is not built for this torch and machine.

    One that is there and cannot be loaded is told once and passed over: no trial must fail of it.
    """
    try:
        path = library_file(folder)
        if not path.is_file():
            return False
        torch.ops.load_library(path)  # type: ignore[no-untyped-call]
    except (OSError, RuntimeError) as error:
        warnings.warn(
            f"the native kernels cannot be loaded, PyTorch computes the blocks: {error}; "
            f"run python -m transxnet.kernels.build again",
            stacklevel=2,
        )
        return False
    return True


def instruction_set() -> str:
    """The instruction set whose kernels this machine runs: avx512, avx2 or plain. The library must be loaded."""
    name: str = torch.ops.transxnet.instruction_set()
    return name


def _units() -> list[tuple[str, str, tuple[str, ...]]]:
    """Name, source and flags of each object file, the slowest first."""
    sets = _INSTRUCTION_SETS.get(platform.machine(), {"plain": ()})
    torch_home = Path(torch.__file__).parent
    includes = (f"-I{torch_home}/include", f"-I{torch_home}/include/torch/csrc/api/include", "-fopenmp")
    abi = f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}"
    return [
        ("bindings", "bindings.cpp", (*includes, abi)),
        *((name, "isa.cpp", (f"-DISA={name}", *flags)) for name, flags in sets.items()),
        ("dispatch", "dispatch.cpp", ()),
    ]


def _link_flags() -> tuple[str, ...]:
    folder = Path(torch.__file__).parent / "lib"
    return (f"-L{folder}", f"-Wl,-rpath,{folder}", "-ltorch", "-ltorch_cpu", "-lc10", "-fopenmp")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = (
            [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or ["no output"]
        )
        raise ValueError(f"the native kernels must compile, got from {Path(command[0]).name}: {lines[0]}")


def _default_folder() -> Path:
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named).expanduser()
    cache_home = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache_home) if cache_home else Path.home() / ".cache") / "transxnet"


@cache
def _key() -> str:
    digest = hashlib.sha256(f"{torch.__version__} {platform.machine()} {sys.platform}".encode())
    for source in sorted(SOURCES.iterdir()):
        digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()[:16]
