"""Repeating a training bit for bit on a GPU, at a price in speed; on a CPU one thread repeats by itself."""

from __future__ import annotations

import os

import torch


def set_deterministic(wanted: bool) -> None:
    """Whether operations of this process on a GPU must repeat bit for bit; those that cannot then raise.

    To be called before the process first uses its GPU: cuBLAS reads its workspace setting once.
    """
    wanted = wanted and torch.cuda.is_available()
    if wanted:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    torch.use_deterministic_algorithms(wanted)
    # A check for faults, which costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = wanted
    torch.backends.cudnn.benchmark = False  # its choice depends on the clock
