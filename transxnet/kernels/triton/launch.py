"""Where Triton kernels run: on a GPU, or in Triton's interpreter, which tests them on a CPU."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
import triton
import triton.language as tl
from torch import Tensor

TRITON_DTYPE = {torch.float32: tl.float32, torch.float64: tl.float64}
# The kernels ask for fused multiply-adds by name; what the compiler makes of the rest is told, or it would warn.
OPTIONS = {"enable_fp_fusion": True}
INTERPRETED: bool = triton.knobs.runtime.interpret  # read by triton when a kernel is defined, so once


def on_device_of(x: Tensor) -> AbstractContextManager[object]:
    """Triton launches on the current GPU: make it the one that holds `x`."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


def require_device(x: Tensor) -> None:
    """Raises ValueError if no kernel can run where `x` is."""
    if not (x.is_cuda or INTERPRETED):
        raise ValueError(f'the Triton kernels need tensors on a GPU, got one on {x.device}; use kernels="pytorch"')
