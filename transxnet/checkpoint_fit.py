"""Whether a checkpoint is one of a network: the same tensors, of the same shapes, with finite values."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from transxnet.arch import ArchConfig
from transxnet.network import TransXNet
from transxnet.registry import registered_archs

SHOWN = 3
"""Differences that an error names; it counts the others."""
HEAD = ("head.fc.weight", "head.fc.bias")
STEM = "stem.conv.weight"


def require_fit(state: Mapping[str, Any], model: nn.Module, source: str, ignored: Collection[str] = ()) -> None:
    """Raise ValueError unless `state` has the tensors of `model`, but for the ignored ones, and all are finite.

    `state` has our names, and position tables of the model's size. `source` is what the user calls the checkpoint.
    """
    own = model.state_dict()
    found = list(_differences(state, own, ignored))
    if found:
        rest = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise ValueError(
            f"the checkpoint {source} must hold the tensors of the network, but {'; '.join(found[:SHOWN])}{rest}; "
            f"{_remedy(state, model)}"
        )
    if (name := first_not_finite({name: state[name] for name in own if name in state})) is not None:
        raise ValueError(
            f"the checkpoint {source} must hold finite numbers alone, got NaN or infinity in {name}; "
            f"take one from before the training diverged"
        )


def first_not_finite(state: Mapping[str, Any]) -> str | None:
    """The name of the first tensor with a value that is NaN or infinite; None if there is none."""
    floats = {name: value for name, value in state.items() if isinstance(value, Tensor) and value.is_floating_point()}
    finite = torch.stack([value.isfinite().all() for value in floats.values()]).tolist()  # waits for a GPU once
    return next((name for name, good in zip(floats, finite, strict=True) if not good), None)


def ignored_by_timm(state: Mapping[str, Any], model: nn.Module, *, features_only: bool) -> set[str]:
    """Tensors that need not fit: those that timm drops or adapts for other classes or channels than the source's."""
    cfg: Any = model.pretrained_cfg
    ignored = set(HEAD) if features_only or model.num_classes != cfg["num_classes"] else set()
    stem, channels = state.get(STEM), cfg["input_size"][0]
    own = model.state_dict()[STEM]
    source = (*own.shape[:1], channels, *own.shape[2:])
    if own.shape[1] != channels and isinstance(stem, Tensor) and stem.shape == source:
        ignored.add(STEM)
    return ignored


def _differences(state: Mapping[str, Any], own: Mapping[str, Tensor], ignored: Collection[str]) -> Iterator[str]:
    """What differs, in the network's order, then what the network does not have."""
    for name, tensor in own.items():
        if name in ignored or (name not in state and _is_counter(name)):
            continue
        value = state.get(name)
        if name not in state:
            yield f"{name} is missing"
        elif not isinstance(value, Tensor):
            yield f"{name} is no tensor but {type(value).__name__}"
        elif value.shape != tensor.shape:
            yield f"{name} has shape {_text(value.shape)} instead of {_text(tensor.shape)}"
    yield from (f"{name} is unexpected" for name in state if name not in own and name not in ignored)


def _is_counter(name: str) -> bool:
    """Of a batch norm: torch itself does without it, as old checkpoints do."""
    return name.endswith("num_batches_tracked")


def _text(shape: torch.Size) -> str:
    return " x ".join(map(str, shape)) or "()"


def _remedy(state: Mapping[str, Any], model: nn.Module) -> str:
    shapes, own = _telling_shapes(state), model.state_dict()
    if shapes == _telling_shapes(own) and HEAD[0] in own and own[HEAD[0]].shape != state[HEAD[0]].shape:
        classes = state[HEAD[0]].shape[0]
        return f"it is one of {classes} classes: pass num_classes={classes}, in pretrained_cfg_overlay too"
    for name, arch in registered_archs().items():
        if shapes.get(STEM, ())[:1] == (arch.stages[0].width,) and shapes == _telling_shapes(_without_values(arch)):
            return f"it is a checkpoint of {name}: load it as {name}"
    return "load it into the network that it was saved from"


def _without_values(arch: ArchConfig) -> dict[str, Tensor]:
    with torch.device("meta"):
        return TransXNet(arch).state_dict()


def _telling_shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Of the tensors by which networks are told apart, whatever their classes, channels and image sizes."""
    shapes = {name: tuple(value.shape) for name, value in state.items() if isinstance(value, Tensor)}
    return {name: _telling(name, shape) for name, shape in shapes.items() if not _is_counter(name)}


def _telling(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    if name in HEAD:
        return shape[1:]
    if name == STEM:
        return shape[:1] + shape[2:]
    return shape[:2] if name.endswith("position_table") else shape
