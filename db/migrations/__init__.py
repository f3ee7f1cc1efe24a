"""Alembic's migrations of our tables.

A change of db/schema.py needs a new file in `versions/`, made after `script.py.mako` and numbered on; a test
compares what the migrations make with the schema.
"""
