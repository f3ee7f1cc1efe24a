"""The model card of an exported variant: what it is, the evidence, how it was made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from analysis.words import accuracy_text, difference_text, noise_sentence, verdict_text
from experiments.pick import Pick
from experiments.trial_weights import Measured, TrialWeights
from transxnet.arch import ArchConfig
from transxnet.cost import estimate


def target_card(pick: Pick, name: str, command: str) -> str:
    """Of the target at full size."""
    what = (
        f"A TransXNet variant at full size, **without weights**: the architecture that a search picked, to be trained. "
        f"The accuracies below are those of small proxies ({_fidelity(pick)}), not of this network."
    )
    load = f'model = timm.create_model("{name}")  # untrained'
    parts = [_network(pick.arch, "This network"), *_evidence(pick), *_making(pick, command)]
    return _card(name, what, load, parts)


def trial_card(pick: Pick, name: str, command: str, weights: TrialWeights, measured: Measured) -> str:
    """Of the network that a trial trained."""
    data = pick.results.study.data
    what = (
        f"The small proxy network that one trial of a search really trained on {data['name']}, **with its weights**. "
        f"It stands for the target {pick.arch.id} in the search and is not the target."
    )
    load = f'model = timm.create_model("{name}", pretrained=True)'
    checked = [
        "## What these weights achieve\n",
        *(f"- {sentence}" for sentence in measured.sentences()),
        f"- Trial {weights.trial.id}, seed {weights.spec.seed}, {weights.trial.epochs_run} epochs. "
        f"sha256 of the trial's file: `{weights.sha256}`.\n",
    ]
    target = _network(pick.arch, "The target that it stands for")
    parts = [_network(weights.spec.arch, "This network"), *checked, target, *_evidence(pick), *_making(pick, command)]
    return _card(name, what, load, parts)


def _card(name: str, what: str, load: str, parts: Iterable[str]) -> str:
    head = (
        "---\nlibrary_name: timm\nlicense: apache-2.0\ntags:\n- image-classification\n- timm\n- transxnet\n---\n"
        f"# {name}\n\n{what}\n\n```python\nimport timm\nimport transxnet\n\n{load}\n```\n"
    )
    return "\n".join([head, *parts]) + "\n"


def _network(arch: ArchConfig, title: str) -> str:
    cost = estimate(arch)
    rows = [
        ("architecture", f"`{arch.id}`"),
        ("image", f"{arch.in_channels} x {arch.image_size[0]} x {arch.image_size[1]}"),
        ("classes", str(arch.num_classes)),
        ("parameters", f"{cost.params:,}"),
        ("multiply-adds (fvcore)", f"{cost.macs:,}"),
        ("multiply-adds (as the paper counts)", f"{cost.macs_published:,}"),
        *((field, _values(arch.column(field))) for field in ("depth", "width", "heads", "idconv_groups", "osr_stride")),
        *((field, _values(arch.column(field))) for field in ("ffn_ratio", "ffn_kernels")),
    ]
    return f"## {title}\n\n" + _table(("", ""), rows)


def _evidence(pick: Pick) -> list[str]:
    """What the study says of the pick: numbers, intervals, seeds, verdict, and what to think of a best of many."""
    study, row = pick.results.study, pick.row
    rows = [
        ("variant", row["label"]),
        ("picked as", f"{pick.word}, of {pick.rivals} variants with complete trials"),
        ("validation accuracy of the proxies (%)", accuracy_text(row)),
        ("by seed (%)", ", ".join(f"{t.seed}: {100 * (t.val_accuracy or 0):.2f}" for t in pick.trials)),
        ("against the baseline (points)", difference_text(row)),
        ("verdict", verdict_text(row)),
        ("training time of a proxy (s)", f"{row['train_seconds']:.1f}"),
        ("data", f"{study.data['name']}, fingerprint `{study.data['fingerprint']}`"),
        ("fidelity", _fidelity(pick)),
    ]
    chance = (
        f"The most accurate of {pick.rivals} variants looks better than it is, the more so the more there are."
        if pick.word == "best" and pick.rivals > 1
        else ""
    )
    caution = f"The data are {study.data['caution']}." if study.data.get("caution") else ""
    notes = [noise_sentence(pick.frame), chance, caution]
    return ["## Evidence\n", _table(("", ""), rows), " ".join(note for note in notes if note) + "\n"]


def _making(pick: Pick, command: str) -> list[str]:
    study, provenance = pick.results.study, pick.trials[0].provenance
    return [
        "## How it was made\n",
        f"```\n{study.command}\n{command}\n```\n",
        _table(
            ("", ""),
            [
                ("study", study.name),
                ("code", provenance.code_version),
                ("machine", _pairs(provenance.machine)),
                ("packages", _pairs(provenance.packages)),
                ("recipe", _pairs(study.recipe)),
            ],
        ),
    ]


def _fidelity(pick: Pick) -> str:
    return _pairs(pick.results.study.fidelity)


def _pairs(mapping: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in mapping.items())


def _values(values: Iterable[Any]) -> str:
    return ", ".join(json.dumps(value) for value in values)


def _table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|"]
    lines += [f"| {name} | {str(value).replace('|', '/')} |" for name, value in rows]
    return "\n".join(lines) + "\n"
