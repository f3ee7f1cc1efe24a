"""The base architecture of a space, read from a published variant's name, from changes to one, or in full."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from space.fields import FIELDS
from space.words import require_known
from transxnet.arch import ArchConfig
from transxnet.variants import VARIANTS


def read_base(plain: Any) -> tuple[ArchConfig, str]:
    """The architecture and what to call it. Raises ValueError.

    `plain` is a name in VARIANTS; or a mapping of `variant` to such a name, of `stages` to a mapping of stage
    field to four values (or one for all), of other ArchConfig fields to values; or ArchConfig.to_dict's form.
    """
    if isinstance(plain, str):
        require_known(plain, VARIANTS, "variant")
        return VARIANTS[plain].arch, plain
    if not isinstance(plain, Mapping):
        raise ValueError(f"base must be a variant's name or a mapping, got {plain!r}; write base: transxnet_t")
    if "variant" in plain:
        changes = {key: value for key, value in plain.items() if key != "variant"}
        arch, name = read_base(plain["variant"])
        return _changed(arch, changes), f"{name}, changed" if changes else name
    if isinstance(plain.get("stages"), Mapping):
        raise ValueError("a base that changes stages must say of which variant; add variant: transxnet_t to base")
    return ArchConfig.from_dict(plain), "custom"


def _changed(arch: ArchConfig, changes: Mapping[str, Any]) -> ArchConfig:
    """`arch` with other values of its fields; raises ValueError."""
    for key in changes:
        require_known(key, [field.name for field in dataclasses.fields(ArchConfig)], "key in base")
    stages = changes.get("stages", {})
    if not isinstance(stages, Mapping):
        raise ValueError(
            f"stages of a changed variant must be a mapping of field to four values, got {stages!r}; "
            f"write for example stages: {{depth: [1, 1, 2, 1]}}"
        )
    stage_fields = [field.name for field in FIELDS.values() if field.per_stage]
    for key in stages:
        require_known(key, stage_fields, "field of a stage in base")
    columns = {name: FIELDS[name].read_four(values) for name, values in stages.items()}
    return arch.with_stages(**columns).replace(**{key: value for key, value in changes.items() if key != "stages"})
