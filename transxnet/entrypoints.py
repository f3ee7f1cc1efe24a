"""What timm calls to build a TransXNet by name."""

from __future__ import annotations

from typing import Any

from timm.models import build_model_with_cfg

from transxnet.arch import ArchConfig
from transxnet.checkpoint import checkpoint_filter_fn
from transxnet.network import TransXNet


def build(name: str, arch: ArchConfig, *, pretrained: bool = False, **kwargs: Any) -> TransXNet:
    """The network registered as `name`, by timm's builder, which takes its keywords from `kwargs`."""
    model: TransXNet = build_model_with_cfg(
        TransXNet,
        name,
        pretrained,
        pretrained_filter_fn=checkpoint_filter_fn,
        feature_cfg={"out_indices": (0, 1, 2, 3), "feature_cls": "getter"},
        arch=arch,
        **kwargs,
    )
    return model
