"""Reading checkpoints: official ones under our names, position tables at the size that the network has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from transxnet.network import TransXNet, resize_position_table

OFFICIAL_KEY = "patch_embed.proj.conv.weight"

# Official name -> ours, applied in order to the start of a key; a stage's modules are renamed by _RENAMED_IN_BLOCK.
_RENAMED = (
    (r"^patch_embed\.proj\.", "stem."),
    (r"^relative_pos_enc\.(\d)$", r"stages.\1.position_table"),
    (r"^classifier\.0\.", "head.norm."),
    (r"^classifier\.2\.", "head.fc."),
)
_RENAMED_IN_BLOCK = (
    (r"^pos_embed\.", "dpe."),
    (r"^layer_scale_(\d)\.", r"layer_scale\1."),
    (r"^token_mixer\.local_unit\.weight$", "mixer.idconv.kernels"),
    (r"^token_mixer\.local_unit\.bias$", "mixer.idconv.biases"),
    (r"^token_mixer\.local_unit\.proj\.0\.", "mixer.idconv.squeeze."),
    (r"^token_mixer\.local_unit\.proj\.1\.", "mixer.idconv.expand."),
    (r"^token_mixer\.global_unit\.sr\.0\.", "mixer.osra.reduce.spatial."),
    (r"^token_mixer\.global_unit\.sr\.1\.", "mixer.osra.reduce.pointwise."),
    (r"^token_mixer\.global_unit\.local_conv\.", "mixer.osra.local."),
    (r"^token_mixer\.global_unit\.(q|kv)\.", r"mixer.osra.\1."),
    (r"^token_mixer\.proj\.", "mixer.ste.enhance."),
    (r"^mlp\.fc1\.", "ffn.expand."),
    (r"^mlp\.dwconv\.proj\.", "ffn.scales."),
    (r"^mlp\.norm\.", "ffn.norm."),
    (r"^mlp\.fc2\.", "ffn.project."),
)


def checkpoint_filter_fn(state_dict: Mapping[str, Any], model: TransXNet) -> dict[str, Tensor]:
    """The state of an official or own checkpoint, under the names and at the table sizes of `model`."""
    state = dict(state_dict.get("state_dict", state_dict))
    if OFFICIAL_KEY in state:
        state = {rename_official(key): value for key, value in state.items()}
    own = model.state_dict()
    for key, value in state.items():
        if key.endswith("position_table") and key in own and _differs_in_tokens(value, own[key]):
            state[key] = resize_position_table(value, (own[key].shape[2], own[key].shape[3]))
    return state


def _differs_in_tokens(table: Any, own: Tensor) -> bool:
    """Whether it is a table for another image size; one that differs in more is left to be refused."""
    heads = isinstance(table, Tensor) and table.ndim == 4 and table.shape[:2] == own.shape[:2]
    return heads and table.shape != own.shape and 0 not in table.shape


def rename_official(key: str) -> str:
    """Our name for a tensor of an official checkpoint; a name that is not official comes back as it is."""
    if not (inside := re.match(r"^network\.(\d)\.(.+)$", key)):
        return _first_match(key, _RENAMED)
    place, rest = int(inside[1]), inside[2]
    if place % 2:  # network.{1,3,5} are the downsamplings, which stand at the head of our stages
        return f"stages.{(place + 1) // 2}." + rest.replace("proj.", "downsample.", 1)
    block, name = rest.split(".", 1)
    return f"stages.{place // 2}.blocks.{block}." + _first_match(name, _RENAMED_IN_BLOCK)


def _first_match(key: str, renamed: tuple[tuple[str, str], ...]) -> str:
    for pattern, name in renamed:
        if re.search(pattern, key):
            return re.sub(pattern, name, key)
    return key
