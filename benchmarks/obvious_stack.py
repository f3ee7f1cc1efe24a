"""The obvious way to train a network in Ray Tune: the plain graph, torchvision's transforms, a DataLoader."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from ray import tune
from timm.optim import param_groups_weight_decay
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from experiments.data.load import load_dataset
from experiments.data.parts import Split
from experiments.data.statistics import channel_statistics
from experiments.data.stratify import take_share
from experiments.spec import TrialSpec
from experiments.training import default_device, learning_rate
from transxnet.network import TransXNet

EVALUATION_BATCH = 256
WORKERS = 2


class PILImages(Dataset[Any]):
    """Images one by one, as torchvision's data sets give them."""

    def __init__(self, split: Split, transform: transforms.Compose) -> None:
        self._split, self._transform = split, transform

    def __len__(self) -> int:
        return len(self._split)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = Image.fromarray(self._split.images[index].transpose(1, 2, 0).squeeze())
        return self._transform(image), int(self._split.labels[index])


def obvious_trial(config: dict[str, Any]) -> None:
    """A function trainable: the training of a spec; reports each epoch and, at the end, a checkpoint."""
    started, spec = time.time(), TrialSpec.from_dict(config["spec"])
    torch.manual_seed(config["seed"])
    train, validation = loaders(spec)
    model = TransXNet(spec.arch, drop_path_rate=spec.recipe.drop_path, kernels="reference").to(default_device())
    groups = param_groups_weight_decay(model, spec.recipe.weight_decay, no_weight_decay_list=model.no_weight_decay())
    optimizer = torch.optim.AdamW(groups, lr=spec.recipe.learning_rate)
    steps = len(train) * spec.fidelity.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate(spec.recipe, min(step, steps - 1), steps) / spec.recipe.learning_rate
    )
    for epoch in range(1, spec.fidelity.epochs + 1):
        loss = train_epoch(model, train, optimizer, schedule, spec)
        metrics = {"train_loss": loss, "val_accuracy": accuracy(model, validation), "started": started}
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = None
            if epoch == spec.fidelity.epochs:
                torch.save(model.state_dict(), Path(folder) / "model.pt")
                checkpoint = tune.Checkpoint.from_directory(folder)
            tune.report({**metrics, "ended": time.time()}, checkpoint=checkpoint)


def loaders(spec: TrialSpec) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """The images that a trial of the platform sees, through torchvision's transforms."""
    dataset = load_dataset(spec.data, spec.fidelity.image_size)
    statistics = channel_statistics(dataset.train)
    share = take_share(dataset.train, spec.fidelity.data_share, seed=0)
    part = Split(np.asarray(dataset.train.images[share]), dataset.train.labels[share])
    normalise = [transforms.ToTensor(), transforms.Normalize(statistics.mean, statistics.std)]
    padding, flips = spec.recipe.crop_padding, [transforms.RandomHorizontalFlip()] * dataset.flip_safe
    crop = transforms.RandomCrop(dataset.image_size, padding=padding, padding_mode="reflect")
    train = PILImages(part, transforms.Compose([crop, *flips, *normalise]))
    validation = PILImages(dataset.validation, transforms.Compose(normalise))
    return (
        DataLoader(train, spec.recipe.batch_size, shuffle=True, drop_last=True, num_workers=WORKERS),
        DataLoader(validation, EVALUATION_BATCH, num_workers=WORKERS),
    )


def train_epoch(model: TransXNet, loader: DataLoader[Any], optimizer: Any, schedule: Any, spec: TrialSpec) -> float:
    """Mean loss."""
    model.train()
    total = 0.0
    device = default_device()
    for images, labels in loader:
        logits = forward(model, images.to(device))
        loss = F.cross_entropy(logits, labels.to(device), label_smoothing=spec.recipe.label_smoothing)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), spec.recipe.clip_grad_norm)
        optimizer.step()
        schedule.step()
        total += loss.item()
    return total / len(loader)


@torch.no_grad()
def accuracy(model: TransXNet, loader: DataLoader[Any]) -> float:
    """0 to 1."""
    model.eval()
    device = default_device()
    hits = [forward(model, images.to(device)).argmax(dim=1).cpu() == labels for images, labels in loader]
    return torch.cat(hits).float().mean().item()


def forward(model: TransXNet, images: torch.Tensor) -> torch.Tensor:
    """Logits, by bfloat16 autocast on a GPU as the platform has it."""
    with torch.autocast(images.device.type, torch.bfloat16, enabled=images.is_cuda):
        logits: torch.Tensor = model(images)
    return logits
