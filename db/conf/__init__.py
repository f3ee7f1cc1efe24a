"""Hydra's config group `storage`: where results are kept."""
