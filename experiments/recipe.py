"""How a trial is trained: optimiser, schedule, augmentation, regularisation."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.augment.settings import Augmentation


@dataclass(frozen=True)
class Recipe(Augmentation):
    """Shared by all trials of a study. Raises ValueError for a value out of range."""

    learning_rate: float = 3e-3
    """AdamW's peak learning rate."""
    min_learning_rate: float = 1e-5
    """Where the cosine ends."""
    warmup_share: float = 0.1
    """Share of the steps in which the learning rate rises from 0 to its peak."""
    weight_decay: float = 0.05
    """Not applied to biases, norms and position tables."""
    batch_size: int = 64
    label_smoothing: float = 0.1
    drop_path: float = 0.0
    """Rate of the last block; it rises linearly from 0 over the blocks."""
    clip_grad_norm: float = 5.0
    """Gradients are scaled down to this norm; 0 leaves them."""
    amp: bool = True
    """bfloat16 autocast on a GPU; no effect on a CPU."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.learning_rate > 0, "learning_rate", "above 0")
        self._require(self.batch_size > 1, "batch_size", "at least 2, as batch normalisation needs")
        for name in ("min_learning_rate", "weight_decay", "clip_grad_norm"):
            self._require(getattr(self, name) >= 0, name, "0 or above")
        for name in ("warmup_share", "label_smoothing", "drop_path"):
            self._require(0 <= getattr(self, name) < 1, name, "at least 0 and below 1")
        rule = f"at most recipe.learning_rate, which is {self.learning_rate:g}"
        self._require(self.min_learning_rate <= self.learning_rate, "min_learning_rate", rule)
