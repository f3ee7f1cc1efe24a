"""The weights that a trial ended with: found, checked against the record, measured on the test split."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from db import ArtifactRecord, Json, Store, TrialRecord
from experiments.data.config import DataConfig
from experiments.data.load import Dataset, load_dataset
from experiments.spec import TrialSpec
from experiments.training import Training
from experiments.weights import WEIGHTS, sha256
from transxnet.checkpoint_file import read_checkpoint
from transxnet.checkpoint_fit import require_fit
from transxnet.network import TransXNet

CPU_TOLERANCE = 0.001
"""Largest difference to the recorded accuracy; on the trial's own machine there is none."""
GPU_TOLERANCE = 0.01
"""A GPU's bfloat16 trial is checked in float32."""


@dataclass(frozen=True)
class TrialWeights:
    """A trained network as its trial left it."""

    trial: TrialRecord
    spec: TrialSpec
    file: Path
    sha256: str


@dataclass(frozen=True)
class Measured:
    """What weights achieve, measured now; accuracies of 0 to 1."""

    val_accuracy: float
    recorded: float
    """Validation accuracy in the record."""
    test_accuracy: float
    test_images: int

    def sentences(self) -> tuple[str, ...]:
        """What was checked, for people."""
        return (
            "Reloaded by timm it gives the logits of the trial's weights in the trial's network, bit for bit.",
            f"Validation accuracy {100 * self.val_accuracy:.2f} %, in the record {100 * self.recorded:.2f} %.",
            f"Test accuracy {100 * self.test_accuracy:.2f} % of {self.test_images:,} images that chose nothing.",
        )


def choose_trial(trials: Sequence[TrialRecord], seed: int | None) -> TrialRecord:
    """The trial of a seed, or the most accurate on the validation split; raises ValueError for an unknown seed."""
    if seed is None:
        return max(trials, key=lambda trial: trial.val_accuracy or 0.0)
    for trial in trials:
        if trial.seed == seed:
            return trial
    raise ValueError(
        f"seed must be one of the variant's complete trials, got {seed}; there are {[trial.seed for trial in trials]}"
    )


def find_weights(store: Store, trial: TrialRecord) -> ArtifactRecord:
    """The weights of a trial, or of the one whose result it took; raises ValueError if they are gone or changed."""
    original = trial if trial.reused_from is None else store.trial(trial.reused_from)
    for artifact in store.artifacts(original.study):
        if artifact.trial_id == original.id and artifact.kind == WEIGHTS:
            _require_whole(artifact)
            return artifact
    raise ValueError(f"trial {original.id} of study {original.study} left no weights; pick another seed=")


def open_data(data: Json, path: str | None, cache: str, image_size: int) -> Dataset:
    """The data of a study, at `path` if they were moved; raises ValueError if they are not the same any more."""
    config = DataConfig(**data["config"], cache=cache)
    dataset = load_dataset(dataclasses.replace(config, path=path or config.path), image_size)
    if dataset.fingerprint != data["fingerprint"]:
        raise ValueError(
            f"the data {dataset.name} must be those of the study (fingerprint {data['fingerprint']}), got "
            f"{dataset.fingerprint}; put the old data back"
        )
    return dataset


def read_weights(weights: TrialWeights) -> dict[str, Tensor]:
    """The tensors of a trial's file. Raises ValueError unless they are all of its network's, and finite."""
    with torch.device("meta"):
        network = TransXNet(weights.spec.arch)
    try:
        state = dict(read_checkpoint(weights.file))
        require_fit(state, network, str(weights.file))
    except ValueError as error:
        raise ValueError(
            f"the weights of trial {weights.trial.id} cannot be exported: {error}; or pick another seed="
        ) from error
    return state


def measure(weights: TrialWeights, state: Mapping[str, Tensor], reloaded: torch.nn.Module) -> Measured:
    """Accuracies of a network that was reloaded from an export.

    `state` is what `read_weights` read. Raises ValueError unless the network gives the same logits as the trial's
    weights in the network of the trial's spec, and the validation accuracy of the record.
    """
    training = Training(weights.spec, torch.device("cpu"))
    training.model.load_state_dict(state)
    logits = _logits(training, training.model)
    if not torch.equal(logits, _logits(training, reloaded)):
        raise ValueError(f"the reloaded network must give the logits of trial {weights.trial.id}, but gives others")
    accuracy = training.evaluate(training.dataset.validation)[1]
    recorded = weights.trial.val_accuracy or 0.0
    machine = weights.trial.provenance.machine
    gpu = bool(machine.get("trial", machine).get("gpus"))  # old records tell the machine's alone
    if abs(accuracy - recorded) > (GPU_TOLERANCE if gpu else CPU_TOLERANCE):
        raise ValueError(
            f"the weights of trial {weights.trial.id} must have its recorded validation accuracy {recorded:.4f}, "
            f"got {accuracy:.4f}; the file {weights.file} is not what the trial left"
        )
    test = training.evaluate(training.dataset.test)[1]
    return Measured(accuracy, recorded, test, len(training.dataset.test))


@torch.no_grad()
def _logits(training: Training, model: torch.nn.Module) -> torch.Tensor:
    images = torch.from_numpy(training.dataset.test.images[:64].copy()).float() / 255
    # The layout of the trial: another one adds up in another order.
    model = model.eval().to(memory_format=torch.channels_last)
    logits: torch.Tensor = model(images.to(memory_format=torch.channels_last))
    return logits


def _require_whole(artifact: ArtifactRecord) -> None:
    path = Path(artifact.path)
    if not path.is_file():
        raise ValueError(f"the weights of trial {artifact.trial_id} must be at {path}, but that file is gone")
    if sha256(path) != artifact.sha256:
        raise ValueError(f"the weights of trial {artifact.trial_id} at {path} were changed after the trial ended")
