"""Which architecture of a study to hand over, and with what standing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from analysis.frame import variant_frame
from analysis.front import best, knee
from analysis.results import Results
from analysis.words import Row
from db import TrialRecord, TrialState
from space import Space
from transxnet.arch import ArchConfig

PICKS: dict[str, Callable[[pd.DataFrame], int]] = {
    "best": best,
    "knee": knee,
    "baseline": lambda frame: int(frame.index[frame["is_baseline"]][0]),
}


@dataclass(frozen=True)
class Pick:
    """An architecture of a study with its evidence."""

    word: str
    """What the user asked for: best, knee, baseline or an id."""
    arch: ArchConfig
    row: Row
    """Its row of the variant frame."""
    rivals: int
    """Variants with a complete trial, itself included."""
    trials: tuple[TrialRecord, ...]
    """Its complete trials, by seed."""
    results: Results
    frame: pd.DataFrame
    """A row a variant of the study."""

    @property
    def space(self) -> Space:
        """The space that it was found in."""
        return Space.from_dict(self.results.study.space)


def pick_variant(results: Results, word: str) -> Pick:
    """The architecture that `word` names; raises ValueError if there is none with a complete trial."""
    frame = variant_frame(results.study, results.trials, results.architectures)
    complete = frame[frame["seeds"] > 0]
    if complete.empty:
        raise ValueError(
            f"an export needs a complete trial, got none in study {results.study.name}; run the sweep to its end first"
        )
    chosen = PICKS[word](complete) if word in PICKS else _by_id(frame, word)
    row = frame.loc[chosen].to_dict()
    if not row["seeds"]:
        raise ValueError(f"an export needs a complete trial, got none of {row['arch_id']} ({row['label']})")
    counted = {t.seed: t for t in results.trials if t.arch_id == row["arch_id"] and t.state is TrialState.COMPLETE}
    return Pick(
        word=word,
        arch=ArchConfig.from_dict(results.architectures[row["arch_id"]].description),
        row=row,
        rivals=len(complete),
        trials=tuple(counted[seed] for seed in sorted(counted)),
        results=results,
        frame=frame,
    )


def _by_id(frame: pd.DataFrame, word: str) -> int:
    found = list(frame.index[frame["arch_id"].str.startswith(word)]) if word else []
    if len(found) == 1:
        return int(found[0])
    number = "no" if not found else "more than one"
    raise ValueError(
        f"pick must be {', '.join(PICKS)} or the start of one architecture's id, got {word!r}, which {number} "
        f"architecture of the study begins with; the report's table lists the ids"
    )
