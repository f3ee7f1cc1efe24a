"""All that the record holds about one study, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from db.names import check_name
from db.records import ArchitectureRecord, EpochRecord, StudyRecord, TrialRecord
from db.store import Store


@dataclass(frozen=True)
class Results:
    """A study with its rows."""

    study: StudyRecord
    architectures: Mapping[str, ArchitectureRecord]
    """By id, both targets and the networks that were trained."""
    trials: Sequence[TrialRecord]
    epochs: Sequence[EpochRecord]
    storage_url: str
    """Where they were read, its password hidden."""


def read_results(store: Store, study_name: str) -> Results:
    """The study's rows as they are now; raises ValueError for a name that is none or that the store does not have."""
    check_name("study", study_name)  # whoever wrote the database may have named one to lead out of a folder
    return Results(
        study=store.study(study_name),
        architectures=store.architectures(study_name),
        trials=store.trials(study_name),
        epochs=store.epochs(study_name),
        storage_url=store.url,
    )
