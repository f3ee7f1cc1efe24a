"""What came of a sweep: its report, its front, and what to type next."""

from __future__ import annotations

from rich.console import Console

from analysis.frame import variant_frame
from analysis.page_settings import next_commands
from analysis.report import write_report
from analysis.results import read_results
from analysis.tables import front_table
from db import Store
from experiments.plan import Plan


def conclude(plan: Plan, store: Store, console: Console) -> int:
    """Write the report and say where it is; returns the exit code, 1 if there is no result."""
    config = plan.config
    results = read_results(store, config.study_name)
    frame = variant_frame(results.study, results.trials, results.architectures)
    for reason, count in sorted(plan.candidates.refused.items()):
        console.print(f"{count} proposed points were not trained: {reason}", highlight=False)
    files = write_report(store, config.study_name, plan.folder / "report")
    console.print()
    console.print(front_table(frame, config.objectives))
    console.print(
        f"\nReport: {files.html}  (tables {files.variants.name}, {files.trials.name}; picture {files.front.name})"
    )
    for command in next_commands(results):
        console.print(f"{command.what}\n  {command.line}", highlight=False, markup=False)
    return 0 if (frame["seeds"] > 0).any() else 1
