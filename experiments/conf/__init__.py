"""Hydra's config groups for the command lines of this house."""
