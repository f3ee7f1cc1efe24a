"""Teaching a new suggester what an earlier one of the same sweep knew, so that it goes on where that one ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime

from experiments.candidates import Candidates, Variant
from experiments.history import History
from experiments.suggest import Suggester, Values

Result = tuple[datetime, Variant, Values]
"""When it was known, of what, and what."""

MOST = 1_000
"""Variants that are suggested again, at most: a model takes the longer for each the more it knows."""


def replay(
    suggester: Suggester,
    candidates: Candidates,
    history: History,
    baseline_id: str,
    values_of: Callable[[Variant], Values | None],
) -> None:
    """Let the suggester learn the results, each when the earlier one learned it, and suggest what that one suggested.

    With one seed and one worker its proposals, and all random numbers behind them, are then those of a sweep that was
    never ended. Where it proposes otherwise (the search was changed, or workers were faster than each other) it just
    learns. `values_of` gives None for what has no result.
    """
    results = deque(_results(history, values_of))
    if suggester.learns and len(history.variants) <= MOST:
        _suggest_again(suggester, candidates, history, baseline_id, results)
    for _, variant, values in results:
        suggester.learn(variant.labels, values)
    candidates.taken.update({id: variant.labels for id, variant in history.variants.items()})


def _results(history: History, values_of: Callable[[Variant], Values | None]) -> list[Result]:
    """The oldest first."""
    found = [
        (history.ended(id), variant, values)
        for id, variant in history.variants.items()
        if (values := values_of(variant)) is not None
    ]
    return sorted(found, key=lambda result: result[0])


def _suggest_again(
    suggester: Suggester, candidates: Candidates, history: History, baseline_id: str, results: deque[Result]
) -> None:
    for id, began in history.began.items():
        while results and results[0][0] <= began:
            _, variant, values = results.popleft()
            suggester.learn(variant.labels, values)
        if id == baseline_id:
            continue
        proposed = suggester.suggest()
        if [variant.id for variant in proposed] != [id]:
            for variant in proposed:
                candidates.release(variant)
            return
