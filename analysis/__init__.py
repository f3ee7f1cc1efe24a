"""The record's conclusions: frames, fronts, verdicts and pages, without torch or ray."""
