"""What the record holds about one study, as far as it is asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
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
    """Of some trials: those whose curves are drawn."""
    storage_url: str
    """Where they were read, its password hidden."""


def read_results(store: Store, study_name: str, *, described: bool = False) -> Results:
    """The study's rows as they are now, without epochs.

    Architectures have their descriptions if `described`, and in a study whose variants are matched.
    Raises ValueError for a name that is none or that the store does not have.
    """
    check_name("study", study_name)  # whoever wrote the database may have named one to lead out of a folder
    study = store.study(study_name)
    return Results(
        study=study,
        architectures=store.architectures(study_name, described=described or study.space.get("match") is not None),
        trials=store.trials(study_name),
        epochs=(),
        storage_url=store.url,
    )


def with_epochs(store: Store, results: Results, trials: Collection[int]) -> Results:
    """The results with the epochs of the trials with these ids."""
    return dataclasses.replace(results, epochs=store.epochs(results.study.name, trials))
