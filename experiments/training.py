"""Training one network: epochs, evaluation, and a state that can be saved and resumed. Knows torch and no Ray."""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from timm.optim import param_groups_weight_decay
from torch import Tensor

from experiments.data.batches import TrainBatches, evaluation_batches
from experiments.data.load import Dataset
from experiments.data.parts import Split
from experiments.data.prepared import prepare
from experiments.data.statistics import ChannelStatistics, channel_statistics
from experiments.data.train_share import train_share
from experiments.fidelity import Fidelity
from experiments.flat_adamw import FlatAdamW
from experiments.recipe import Recipe
from experiments.spec import TrialSpec
from transxnet.checkpoint_fit import first_not_finite
from transxnet.kernels.names import AUTO
from transxnet.network import TransXNet

EVALUATION_PIXELS = {"cpu": 2**18, "cuda": 2**22}
"""Of a batch of evaluation: 256 images of 32 px on a CPU, whose caches larger batches leave; a GPU wants thousands."""


class TrainingFailed(RuntimeError):
    """The training cannot go on; the message is the reason that the record keeps."""


@dataclass(frozen=True)
class EpochMetrics:
    """What an epoch measured."""

    epoch: int
    """From 1."""
    train_loss: float
    val_loss: float
    val_accuracy: float
    """0 to 1."""
    learning_rate: float
    """At the epoch's last step."""
    seconds: float
    """Spent in training steps, without validation."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return dataclasses.asdict(self)


class Training:
    """A network on its way through the epochs of a spec. On a CPU, one spec gives one result, bit for bit."""

    def __init__(self, spec: TrialSpec, device: torch.device | None = None, kernels: str = AUTO) -> None:
        """`kernels` names how blocks are computed, see `TransXNet.set_kernels`.

        Raises ValueError if the data are not those of the spec or do not fill a batch.
        """
        self.spec = spec
        self.device = device or default_device()
        self.epoch = 0
        prepared = prepare(spec.data, spec.fidelity.image_size)
        self.dataset = prepared.dataset
        _require_same_data(spec, self.dataset)
        torch.manual_seed(spec.seed)  # initial weights, and drop path while training
        self.model = TransXNet(spec.arch, drop_path_rate=spec.recipe.drop_path, kernels=kernels)
        self.model.to(self.device).to(memory_format=torch.channels_last)
        self.optimizer = _optimizer(self.model, spec.recipe)
        self.batches = train_batches(
            self.dataset, spec.recipe, spec.fidelity, spec.seed, self.device, prepared.statistics
        )

    def run_epoch(self) -> EpochMetrics:
        """Train for an epoch, then validate. Raises TrainingFailed if the loss is not a finite number.

        After the last epoch the weights must be finite as well: a loss does not feel all of them.
        """
        self.model.train()
        started = time.perf_counter()
        total = torch.zeros((), device=self.device)
        for index, (images, targets) in enumerate(self.batches):
            rate = self._set_learning_rate(self.epoch * len(self.batches) + index)
            total += self._step(images, targets)
        train_loss = total.item() / len(self.batches)  # waits for the device
        seconds = time.perf_counter() - started
        self.epoch += 1
        _require_finite("training loss", train_loss, self.epoch)
        val_loss, val_accuracy = self.evaluate(self.dataset.validation)
        _require_finite("validation loss", val_loss, self.epoch)
        if self.epoch == self.spec.fidelity.epochs:
            _require_finite_weights(self.model)
        return EpochMetrics(self.epoch, train_loss, val_loss, val_accuracy, rate, seconds)

    @torch.inference_mode()
    def evaluate(self, split: Split) -> tuple[float, float]:
        """Mean loss and accuracy (0 to 1) on a split."""
        self.model.eval()
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)  # read once: a GPU need not stop every batch
        batch_size = max(1, EVALUATION_PIXELS[self.device.type] // self.dataset.image_size**2)
        for images, labels in evaluation_batches(split, batch_size, self.batches.statistics, self.device):
            logits = self._forward(images).float()
            loss = F.cross_entropy(logits, labels, reduction="sum")
            sums += torch.stack([loss, (logits.argmax(dim=1) == labels).sum()])
        loss_sum, correct = sums.tolist()
        return loss_sum / len(split), correct / len(split)

    def state(self) -> dict[str, Any]:
        """All that `load_state` needs to go on as if nothing had happened; tensors and plain values alone."""
        state = {
            "epoch": self.epoch,
            "optimizer": self.optimizer.state_dict(),
            "order": self.batches.generator.get_state(),
            "random": torch.get_rng_state(),
        }
        if self.device.type == "cuda":  # where drop path draws
            state["random_cuda"] = torch.cuda.get_rng_state(self.device)
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken; the weights are loaded apart."""
        self.epoch = state["epoch"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.batches.generator.set_state(state["order"])
        torch.set_rng_state(state["random"])
        if self.device.type == "cuda" and "random_cuda" in state:  # a state from a CPU has none
            torch.cuda.set_rng_state(state["random_cuda"], self.device)

    def _step(self, images: Tensor, targets: Tensor) -> Tensor:
        loss = F.cross_entropy(self._forward(images), targets, label_smoothing=self.spec.recipe.label_smoothing)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self.spec.recipe.clip_grad_norm:
            self.optimizer.clip_grad_norm(self.spec.recipe.clip_grad_norm)
        self.optimizer.step()
        return loss.detach()

    def _forward(self, images: Tensor) -> Tensor:
        amp = self.spec.recipe.amp and self.device.type == "cuda"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=amp):
            logits: Tensor = self.model(images.contiguous(memory_format=torch.channels_last))
        return logits

    def _set_learning_rate(self, step: int) -> float:
        rate = learning_rate(self.spec.recipe, step, len(self.batches) * self.spec.fidelity.epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Learning rate of `step` (from 0) of `steps`: a linear warm-up to the peak, then a cosine to the minimum."""
    warmup = round(recipe.warmup_share * steps)
    if step < warmup:
        return recipe.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(steps - warmup - 1, 1)
    falling = (1 + math.cos(math.pi * done)) / 2
    return recipe.min_learning_rate + (recipe.learning_rate - recipe.min_learning_rate) * falling


def default_device() -> torch.device:
    """The GPU if this process has one, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _optimizer(model: TransXNet, recipe: Recipe) -> FlatAdamW:
    groups = param_groups_weight_decay(model, recipe.weight_decay, no_weight_decay_list=model.no_weight_decay())
    return FlatAdamW(groups, recipe.learning_rate)


def train_batches(
    dataset: Dataset,
    recipe: Recipe,
    fidelity: Fidelity,
    seed: int,
    device: torch.device | None = None,
    statistics: ChannelStatistics | None = None,
) -> TrainBatches:
    """The training images of a trial, in the order and with the augmentation of its seed.

    `statistics` are those of the training split, counted if not given.
    Raises ValueError if the fidelity's share of the data does not fill the recipe's batch.
    """
    return TrainBatches(
        dataset,
        recipe.batch_size,
        torch.Generator().manual_seed(seed),
        statistics or channel_statistics(dataset.train),
        recipe,
        train_share(dataset.train, fidelity.data_share),
        device or default_device(),
    )


def _require_same_data(spec: TrialSpec, dataset: Dataset) -> None:
    if dataset.fingerprint != spec.data_fingerprint:
        raise ValueError(
            f"the data {dataset.name} must be those that the study began with (fingerprint {spec.data_fingerprint}), "
            f"got fingerprint {dataset.fingerprint}; put the old data back or start another study"
        )


def _require_finite(what: str, value: float, epoch: int) -> None:
    if not math.isfinite(value):
        raise TrainingFailed(f"{what} is {value} in epoch {epoch}; lower recipe.learning_rate if this happens often")


def _require_finite_weights(model: TransXNet) -> None:
    if (name := first_not_finite(model.state_dict())) is not None:
        raise TrainingFailed(
            f"weights are NaN or infinite at the end, first in {name}; lower recipe.learning_rate if this happens often"
        )
