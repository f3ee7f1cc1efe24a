"""What must not stand in one average: trials of another study, recipe, data or fidelity."""

from __future__ import annotations

from collections.abc import Sequence

from db.records import StudyRecord, TrialRecord, TrialState


def require_one_experiment(study: StudyRecord, trials: Sequence[TrialRecord]) -> None:
    """Raises ValueError for trials of more than one: the spec key hashes recipe, data and fidelity too."""
    specs: dict[tuple[str, int], str] = {}
    for trial in trials:
        if trial.study != study.name:
            raise ValueError(
                f"a frame holds the trials of one study, got one of {trial.study!r} in {study.name!r}; "
                f"make a frame for each"
            )
        if trial.state is not TrialState.COMPLETE:
            continue
        if trial.val_accuracy is None:
            raise ValueError(f"a COMPLETE trial needs an accuracy, got none in trial {trial.id}; mend its row")
        known = specs.setdefault((trial.trained_arch_id, trial.seed), trial.spec_key)
        if known != trial.spec_key:
            raise ValueError(
                f"trials of one study share recipe, data and fidelity, got two specifications of network "
                f"{trial.trained_arch_id} with seed {trial.seed} in {study.name!r}; "
                f"sweep each in a study of its own"
            )
