"""What timm calls to build a TransXNet by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from timm.models import build_model_with_cfg, resolve_pretrained_cfg
from torch import Tensor

from transxnet.arch import ArchConfig
from transxnet.checkpoint import checkpoint_filter_fn
from transxnet.checkpoint_file import read_checkpoint
from transxnet.checkpoint_fit import ignored_by_timm, require_fit
from transxnet.network import TransXNet
from transxnet.registry import WEIGHTS_FILE


def build(
    name: str,
    arch: ArchConfig,
    *,
    pretrained: bool = False,
    pretrained_cfg: Any = None,
    pretrained_cfg_overlay: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> TransXNet:
    """The network registered as `name`, by timm's builder, which takes its keywords from `kwargs`.

    Raises ValueError for a checkpoint that cannot be read, is not one of the network, or holds NaN or infinity.
    """
    cfg = resolve_pretrained_cfg(name, pretrained_cfg, pretrained_cfg_overlay)
    file = _file(cfg.file)
    try:
        model: TransXNet = build_model_with_cfg(
            TransXNet,
            name,
            pretrained,
            pretrained_cfg=cfg,
            pretrained_filter_fn=_fitting(str(file or cfg.url or cfg.hf_hub_id), bool(kwargs.get("features_only"))),
            feature_cfg={"out_indices": (0, 1, 2, 3), "feature_cls": "getter"},
            arch=arch,
            **kwargs,
        )
    except Exception:
        if pretrained and file is not None:
            read_checkpoint(file)  # which says it in a line, if the file is at fault
        raise
    return model


def _file(location: str | Path | None) -> Path | None:
    """The file of a checkpoint: timm gives a folder for `local-dir:`."""
    if not location:
        return None
    path = Path(location)
    if not path.is_dir():
        return path
    return path / WEIGHTS_FILE if (path / WEIGHTS_FILE).is_file() else None


def _fitting(source: str, features_only: bool) -> Callable[[Mapping[str, Any], TransXNet], dict[str, Tensor]]:
    """What timm calls with a state that it read and the network that it is for."""

    def fitting(state_dict: Mapping[str, Any], model: TransXNet) -> dict[str, Tensor]:
        state = checkpoint_filter_fn(state_dict, model)
        require_fit(state, model, source, ignored_by_timm(state, model, features_only=features_only))
        return state

    return fitting
