"""A process's memory against the trials that it has run: a table, a picture, and how fast it grows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.table import Table
from scipy.stats import theilslopes

Sample = dict[str, float]
SHOWN = 12
"""Rows of the table, evenly over the trials."""
WARM = 0.1
"""Share of the trials before which everything is loaded once; growth is told of the rest."""


def growth_mib(samples: list[Sample]) -> float:
    """MiB of its own that 1,000 more trials take: the median slope between samples after the first tenth.

    A peak, as of Ray Tune writing its state, is in the picture, but does not tilt the line.
    """
    most = max(sample["trials"] for sample in samples)
    late = [sample for sample in samples if sample["trials"] >= WARM * most]
    trials, own = ([sample[name] for sample in late] for name in ("trials", "own"))
    return 1000 * float(theilslopes(own, trials).slope)


def memory_table(samples: list[Sample]) -> Table:
    """Some of the samples."""
    table = Table("trials", "seconds", "in memory MiB", "its own MiB", title="the driver's memory")
    rows = np.unique(np.linspace(0, len(samples) - 1, SHOWN).round().astype(int))
    for sample in (samples[row] for row in rows):
        seconds = sample["time"] - samples[0]["time"]
        table.add_row(f"{sample['trials']:,}", f"{seconds:.0f}", f"{sample['rss']:.0f}", f"{sample['own']:.0f}")
    return table


def draw(samples: list[Sample], path: Path) -> None:
    """As a picture; the axis begins at nothing, so that a curve that looks flat is flat."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    trials = [sample["trials"] for sample in samples]
    axes.plot(trials, [sample["rss"] for sample in samples], label="in memory", color="tab:blue")
    axes.plot(trials, [sample["own"] for sample in samples], label="without mapped files", color="tab:orange")
    axes.set(xlabel="trials that ended", ylabel="driver's memory, MiB", xlim=(0, max(trials)))
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False)
    axes.set_title(f"{growth_mib(samples):+.1f} MiB for 1,000 more trials", fontsize=11, loc="left")
    figure.savefig(path, dpi=150)
