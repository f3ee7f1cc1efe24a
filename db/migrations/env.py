"""What Alembic runs to migrate: over the connection that db/migrate.py passes, inside its transaction."""

from __future__ import annotations

from alembic import context

from db.migrate import is_ours
from db.schema import VERSION_TABLE, Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    include_name=is_ours,
)
with context.begin_transaction():
    context.run_migrations()
