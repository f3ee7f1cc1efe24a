"""Hydra configuration of the report."""
