"""The colours of a description: those of the reports, so that a baseline looks the same everywhere."""

from __future__ import annotations

FEASIBLE = "#2a78d6"
"""What is within the budget, or all where there is none."""
OTHER = "#8795a6"
"""What is beyond the budget, and lines."""
BASELINE = "#e07b00"
LIMIT = "#a3282f"
"""A limit of the budget."""
