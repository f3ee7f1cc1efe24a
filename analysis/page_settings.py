"""The page's account of how the numbers came about, and of what to type next."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from omegaconf import OmegaConf

from analysis.metrics import objectives_text
from analysis.results import Results
from db.records import Provenance, StudyRecord


@dataclass(frozen=True)
class Group:
    """Settings that belong together, as pairs of name and text."""

    title: str
    pairs: Sequence[tuple[str, str]]
    open: bool = False


@dataclass(frozen=True)
class Command:
    """A line to type, and what for."""

    what: str
    line: str


def setting_groups(results: Results) -> list[Group]:
    """Study, data, fidelity, recipe, latency if it is measured, space and provenance, in this order."""
    study = results.study
    return [
        Group("Study", _study_pairs(results), open=True),
        Group("Data", _flat(study.data), open=True),
        Group("Fidelity", _flat(study.fidelity), open=True),
        Group("Recipe", _flat(study.recipe), open=True),
        *([Group("Latency", _flat(study.latency), open=True)] if study.latency else []),
        Group("Space", _flat(study.space)),
        *_provenance_groups(results),
    ]


def next_commands(results: Results) -> list[Command]:
    """How to look closer, take the winner away, and write this page again."""
    study = f"study={shlex.quote(results.study.name)}"
    storage = [] if results.storage_url == _default_url() else [shlex.quote(f"storage.url={results.storage_url}")]

    def line(*words: str) -> str:
        return " ".join(["python -m", *words, *storage])

    return [
        Command("Every trial in the Optuna dashboard:", line("experiments.dashboard")),
        Command(
            "The most accurate variant as a timm model (or pick=knee, pick=baseline, pick=ARCH_ID):",
            line("experiments.export", study, "pick=best", "name=my_variant"),
        ),
        Command("This page again, from the record as it is then:", line("analysis.report", study)),
    ]


def _study_pairs(results: Results) -> list[tuple[str, str]]:
    study = results.study
    return [
        ("name", study.name),
        ("command", study.command),
        ("created", created_text(study)),
        ("objectives", objectives_text(study.objectives)),
        ("baseline", study.baseline_arch_id),
        ("storage", results.storage_url),
    ]


def created_text(study: StudyRecord) -> str:
    """When the study was made, to the minute."""
    return "" if study.created_at is None else study.created_at.strftime("%Y-%m-%d %H:%M UTC")


def _provenance_groups(results: Results) -> Iterator[Group]:
    """One group for all trials that the same code ran on the same machine."""
    # Trials of one reading share their provenance: each is written out once.
    provenances = {id(trial.provenance): trial.provenance for trial in results.trials}
    counts: Counter[str] = Counter()
    for same, count in Counter(id(trial.provenance) for trial in results.trials).items():
        counts[_provenance_key(provenances[same])] += count
    for key, count in counts.most_common():
        title = f"Code and machine of {count:,} trial{'s' * (count != 1)}"
        yield Group(title, _flat(json.loads(key)), open=len(counts) == 1)


def _provenance_key(provenance: Provenance) -> str:
    plain = {
        "code_version": provenance.code_version,
        "machine": provenance.machine,
        "packages": provenance.packages,
    }
    return json.dumps(plain, default=str)


def _flat(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, entry in value.items():
        if isinstance(entry, Mapping) and entry:
            pairs += _flat(entry, f"{prefix}{key}.")
        else:
            pairs.append((f"{prefix}{key}", entry if isinstance(entry, str) else json.dumps(entry, default=str)))
    return pairs


def _default_url() -> str:
    text = (resources.files("db.conf") / "storage" / "sqlite.yaml").read_text(encoding="utf-8")
    return str(OmegaConf.select(OmegaConf.create(text), "url"))
