"""Plain Optuna's side of the overhead benchmark: python -m benchmarks.overhead_optuna FOLDER TRIALS."""

from __future__ import annotations

import sys
from pathlib import Path

import optuna

from benchmarks.moments import Moments

PARAMETERS = 15
"""As many as the platform's space has axes."""
CHOICES = ("1", "2", "3", "4")


def run_optuna(folder: Path, trials: int, moments: Moments) -> None:
    """One trial after the other in this process, kept in SQLite."""

    def idle(trial: optuna.Trial) -> tuple[float, float]:
        moments.started(moments.now())
        for index in range(PARAMETERS):
            trial.suggest_categorical(f"parameter{index}", CHOICES)
        return 0.5, 1.0

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        storage=f"sqlite:///{folder / 'study.db'}",
        directions=["maximize", "minimize"],
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    with moments.memory_sampled():
        study.optimize(idle, n_trials=trials, n_jobs=1, callbacks=[lambda _study, _trial: moments.ended()])


def main() -> None:
    """Run, and tell the moments."""
    folder, moments = Path(sys.argv[1]), Moments()
    run_optuna(folder, int(sys.argv[2]), moments)
    moments.write(folder)


if __name__ == "__main__":
    main()
