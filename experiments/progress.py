"""A sweep's progress on the terminal: a line for each trial that ended, and a bar that stays below them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn

from db import EpochRecord, TrialRecord, TrialState
from experiments.candidates import Variant

COLOURS = {TrialState.COMPLETE: "green", TrialState.STOPPED: "yellow", TrialState.FAILED: "red"}


class SweepProgress:
    """Listens to the driver and shows trials done and running, the best so far and the time left.

    On a terminal the bar moves with every epoch; in a log there are the lines alone.
    """

    def __init__(self, console: Console, epochs: int, varying: list[str]) -> None:
        """`varying` are the axes that name a variant in the lines."""
        self._console, self._epochs, self._varying = console, epochs, varying
        self._bar = Progress(
            TextColumn("[bold]{task.fields[done]}/{task.fields[planned]} trials"),
            BarColumn(),
            TextColumn("{task.fields[running]} running · best {task.fields[best]} · {task.fields[left]}"),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=None, done=0, planned="?", running=0, best="none yet", left="")
        self._planned = self._done = self._reused_epochs = self._epochs_done = 0
        self._running: dict[int, int] = {}  # epochs done, by trial id
        self._best: float | None = None
        self._began = time.monotonic()

    def __enter__(self) -> SweepProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def planned(self, trials: int) -> None:
        """How many trials there will be, those of earlier runs included."""
        self._planned = trials
        self._refresh()

    def known(self, trials: Sequence[TrialRecord]) -> None:
        """What earlier runs finished."""
        for trial in trials:
            self._done += 1
            self._count(trial, trained=False)
        if trials:
            self._console.print(f"{len(trials)} trials are in the record already", highlight=False)
        self._refresh()

    def started(self, trial: TrialRecord) -> None:
        """A worker began."""
        assert trial.id is not None
        self._running[trial.id] = 0
        self._refresh()

    def epoch(self, epoch: EpochRecord) -> None:
        """A worker finished an epoch."""
        self._running[epoch.trial_id] = epoch.epoch
        self._refresh()

    def ended(self, trial: TrialRecord, variant: Variant) -> None:
        """A trial ended, or an earlier result was taken for it."""
        assert trial.id is not None
        self._running.pop(trial.id, None)
        self._done += 1
        self._count(trial, trained=trial.reused_from is None)
        self._console.print(self._line(trial, variant), highlight=False)
        self._refresh()

    def broken_off(self, trial: TrialRecord, variant: Variant) -> None:
        """A trial ended without a result; another will take its place, now or in a later run."""
        assert trial.id is not None
        self._running.pop(trial.id, None)
        self._console.print(self._line(trial, variant), highlight=False)
        self._refresh()

    def _count(self, trial: TrialRecord, *, trained: bool) -> None:
        self._epochs_done += self._epochs
        self._reused_epochs += 0 if trained else self._epochs
        if trial.val_accuracy is not None:
            self._best = max(self._best or 0.0, trial.val_accuracy)

    def _line(self, trial: TrialRecord, variant: Variant) -> str:
        name = ", ".join(f"{axis} {variant.labels[axis]}" for axis in self._varying)
        colour = COLOURS.get(trial.state, "white")
        result = f"[{colour}]{trial.state.lower()}[/]"
        if trial.val_accuracy is not None:
            result = f"[{colour}]{100 * trial.val_accuracy:5.1f} %[/]"
        took = "  taken from an earlier trial" if trial.reused_from else f"  {trial.train_seconds or 0:.0f} s"
        reason = f"  {trial.reason}" if trial.reason else ""
        left = f"  · {self._left()}" if not self._console.is_terminal else ""
        count = f"{self._done}/{self._planned}"
        return f"{count:>7}  {escape(name)}  seed {trial.seed}  {result}{took}{escape(reason)}{left}"

    def _left(self) -> str:
        """Time left, from the epochs that this run trained."""
        epochs = self._epochs_done + sum(self._running.values())
        trained = epochs - self._reused_epochs
        if not trained:
            return "time left not known yet"
        remaining = max(self._planned * self._epochs - epochs, 0)
        seconds = round((time.monotonic() - self._began) / trained * remaining)
        return f"about {seconds // 60}:{seconds % 60:02d} left"

    def _refresh(self) -> None:
        self._bar.update(
            self._task,
            total=self._planned * self._epochs or None,
            completed=self._epochs_done + sum(self._running.values()),
            done=self._done,
            planned=self._planned,
            running=len(self._running),
            best="none yet" if self._best is None else f"{100 * self._best:.1f} %",
            left=self._left(),
        )
