"""Measured latencies, and the settings by which a study measures them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table, and the column, which is NULL in older studies: none of them measured latency."""
    op.create_table(
        "tx_latencies",
        sa.Column("arch_id", sa.String(), nullable=False),
        sa.Column("settings_key", sa.String(), nullable=False),
        sa.Column("p10_ms", sa.Double(), nullable=False),
        sa.Column("p50_ms", sa.Double(), nullable=False),
        sa.Column("p90_ms", sa.Double(), nullable=False),
        sa.Column("repeats", sa.BigInteger(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("arch_id", "settings_key", name="pk_tx_latencies"),
        sa.ForeignKeyConstraint(
            ["arch_id"], ["tx_architectures.arch_id"], name="fk_tx_latencies_arch_id_tx_architectures"
        ),
    )
    op.add_column("tx_studies", sa.Column("latency", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Drop them with all that they hold."""
    op.drop_column("tx_studies", "latency")
    op.drop_table("tx_latencies")
