"""How a variant is called: its choices in words, the same in every table, plot and page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from db.records import StudyRecord, TrialRecord
from transxnet.arch import NUM_STAGES


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
    choices = {
        arch_id: {name: choice_text(value) for name, value in variant.items()} for arch_id, variant in variants.items()
    }
    parts = _parts(_varying(list(choices.values())))
    labels: dict[str, str] = {}
    taken: set[str] = set()
    for arch_id, own in choices.items():
        label = ", ".join(_terms(own, parts)) or arch_id
        if label in taken:
            label += f" [{arch_id[:6]}]"
        taken.add(label)
        labels[arch_id] = label
    if study.baseline_arch_id in labels:
        labels[study.baseline_arch_id] += " (baseline)"
    return labels


def _terms(own: Mapping[str, str], parts: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """A variant's choices as "name=choice"."""
    for name, axes in parts.items():
        known = [own[axis] for axis in axes if axis in own]
        if known:
            yield f"{name}={'-'.join(known)}"


def _parts(axes: Sequence[str]) -> dict[str, list[str]]:
    """The axes by the name that they are told under: the four stages of a field under the field's, others alone."""
    parts: dict[str, list[str]] = {}
    for axis in axes:
        field = axis.rpartition(".")[0]
        stages = [f"{field}.stage{number}" for number in range(1, NUM_STAGES + 1)]
        is_whole = axis in stages and set(stages) <= set(axes)
        parts.setdefault(field if is_whole else axis, []).append(axis)
    return parts


def _varying(variants: Sequence[Mapping[str, str]]) -> list[str]:
    names = list(dict.fromkeys(name for choices in variants for name in choices))
    return [name for name in names if len({choices.get(name) for choices in variants}) > 1] or names
