"""What a checkpoint of a trial is: its weights as safetensors, and all else that it needs to go on. Knows no record."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from experiments.checkpoint_names import STATE_FILE, WEIGHTS_FILE
from experiments.training import Training


def save_checkpoint(training: Training, folder: Path) -> None:
    """Write both files; the state loads with weights_only."""
    state = {name: value.contiguous() for name, value in training.model.state_dict().items()}
    save_file(state, folder / WEIGHTS_FILE)
    torch.save(training.state(), folder / STATE_FILE)


def load_checkpoint(training: Training, folder: Path) -> None:
    """Go on where `save_checkpoint` was called. Raises OSError or RuntimeError for files that are gone or damaged."""
    training.model.load_state_dict(load_file(folder / WEIGHTS_FILE))
    training.load_state(torch.load(folder / STATE_FILE, weights_only=True))
