"""How a variant is called: its choices in words, the same in every table, plot and page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

from db.records import StudyRecord, TrialRecord
from transxnet.arch import NUM_STAGES

Column: TypeAlias = list[str | None]
"""A choice of each variant, None for those without it."""


def choice_text(value: Any) -> str:
    """A dimension's choice as people say it: 4, 2-2-3-4 for a value a stage, 1-3|1-5 for sets within."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return json.dumps(value)
    if isinstance(value, list | tuple):
        nested = any(isinstance(entry, list | tuple) for entry in value)
        return ("|" if nested else "-").join(choice_text(entry) for entry in value)
    return str(value)


def variant_labels(study: StudyRecord, trials: Sequence[TrialRecord]) -> dict[str, str]:
    """A unique name for each target architecture, such as "idconv_groups=2-2-3-4".

    Dimensions that are the same in all variants are left out, and a choice for each stage is told as one, such as
    "osr_stride=8-4-2-1"; the baseline's name says that it is it.
    """
    variants = {trial.arch_id: trial.variant for trial in reversed(trials)}
    columns = _varying(_choice_columns(list(variants.values())))
    terms = [_terms(name, [columns[axis] for axis in axes]) for name, axes in _parts(list(columns)).items()]
    labels: dict[str, str] = {}
    taken: set[str] = set()
    for arch_id, told in zip(variants, zip(*terms, strict=True) if terms else [()] * len(variants), strict=True):
        label = ", ".join(filter(None, told)) or arch_id
        if label in taken:
            label += f" [{arch_id[:6]}]"
        taken.add(label)
        labels[arch_id] = label
    if study.baseline_arch_id in labels:
        labels[study.baseline_arch_id] += " (baseline)"
    return labels


def _choice_columns(variants: Sequence[Mapping[str, Any]]) -> dict[str, Column]:
    """By axis, each variant's choice in words."""
    axes = dict.fromkeys(axis for variant in variants for axis in variant)
    return {axis: [choice_text(own[axis]) if axis in own else None for own in variants] for axis in axes}


def _varying(columns: Mapping[str, Column]) -> Mapping[str, Column]:
    """Those with more than one choice; all if there is none."""
    return {axis: column for axis, column in columns.items() if len(set(column)) > 1} or columns


def _parts(axes: Sequence[str]) -> dict[str, list[str]]:
    """The axes by the name that they are told under: the four stages of a field under the field's, others alone."""
    parts: dict[str, list[str]] = {}
    for axis in axes:
        field = axis.rpartition(".")[0]
        stages = [f"{field}.stage{number}" for number in range(1, NUM_STAGES + 1)]
        is_whole = axis in stages and set(stages) <= set(axes)
        parts.setdefault(field if is_whole else axis, []).append(axis)
    return parts


def _terms(name: str, columns: Sequence[Column]) -> list[str]:
    """Each variant's choices of some axes as "name=choice"; empty where it has none."""

    @cache
    def term(*choices: str | None) -> str:
        known = [choice for choice in choices if choice is not None]
        return f"{name}={'-'.join(known)}" if known else ""

    return list(map(term, *columns))
