"""What ways to compute a block can be asked for. Imports no torch unless the machine must be looked at."""

from __future__ import annotations

import importlib.util
import warnings

AUTO = "auto"
NAMES = ("reference", "pytorch", "native", "triton")
"""What can be asked for by name, beside auto. Where one is not to be had, pytorch stands in for it."""


def check_name(name: str) -> str:
    """`name`, if it is known; warns where pytorch will stand in for it, raises ValueError for an unknown one."""
    if name not in (AUTO, *NAMES):
        raise ValueError(f"kernels must be one of {', '.join((AUTO, *NAMES))}, got {name!r}; write {AUTO}")
    if name == "native" and not _is_native_built():
        warnings.warn(
            "native kernels are not built for this torch and machine, PyTorch computes the blocks; "
            "run python -m transxnet.kernels.build",
            stacklevel=3,
        )
    if name == "triton" and importlib.util.find_spec("triton") is None:
        warnings.warn("Triton is not installed, PyTorch computes the blocks; pip install triton", stacklevel=3)
    elif name == "triton" and not _has_gpu():
        warnings.warn("Triton needs a GPU, PyTorch computes the blocks on this machine", stacklevel=3)
    return name


def describe_auto() -> str:
    """What `auto` is on this machine's CPU."""
    from transxnet.kernels.native import library

    return f"native, {library.instruction_set()}" if library.load() else "pytorch"


def _is_native_built() -> bool:
    from transxnet.kernels.native import library

    return library.load()


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
