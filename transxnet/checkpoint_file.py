"""Opening a checkpoint's file: tensors alone, and one line that says so where it is not whole or holds more."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from timm.models import load_state_dict


def read_checkpoint(file: Path) -> Mapping[str, Any]:
    """The state dict in a file of torch.save or safetensors, as timm reads it; no code in it is run.

    Raises ValueError, with the file's name, if there is no such file, or it is damaged, or holds other than tensors
    and plain values.
    """
    if not file.is_file():
        raise ValueError(f"a checkpoint must be a file, got {file}, where none is; check the path") from None
    try:
        state: Mapping[str, Any] = load_state_dict(str(file), weights_only=True)
    except Exception as error:  # of pickle, zipfile, safetensors, torch: each has many
        # Theirs says nothing more to the user than the line that is made of it.
        raise ValueError(_what_is_wrong(file, error)) from None
    return state


def _what_is_wrong(file: Path, error: Exception) -> str:
    if code := _code_in(file):
        return (
            f"a checkpoint must hold tensors and plain values alone (weights_only=True), got {file}, which asks to run "
            f"{code[0]}; save the network's state_dict() by itself"
        )
    reason = " ".join(str(error).split()).partition(". ")[0][:120]
    return (
        f"a checkpoint must be a whole file of torch.save or safetensors with a dictionary of tensors, got {file} of "
        f"{file.stat().st_size:,} bytes ({type(error).__name__}: {reason}); copy or download it again"
    )


def _code_in(file: Path) -> list[str]:
    """What a pickle would call that is not allowed; empty for a file that cannot be looked into."""
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(file)))
    except Exception:
        return []
