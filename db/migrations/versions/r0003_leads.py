"""Who leads a study, which trial is which when it is stored twice, and how much of it is an earlier one's."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table and the columns: older trials have no uid and resumed nothing."""
    op.create_table(
        "tx_leads",
        sa.Column("study", sa.String(64), nullable=False),
        sa.Column("holder", sa.String(32), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("process", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("renewed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("study", name="pk_tx_leads"),
        sa.ForeignKeyConstraint(["study"], ["tx_studies.name"], name="fk_tx_leads_study_tx_studies"),
    )
    op.add_column("tx_trials", sa.Column("uid", sa.String(32), nullable=True))
    op.add_column(
        "tx_trials", sa.Column("resumed_epochs", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    op.create_index("ix_tx_trials_uid", "tx_trials", ["uid"], unique=True)  # SQLite adds no constraint to a table


def downgrade() -> None:
    """Drop them with all that they hold."""
    op.drop_index("ix_tx_trials_uid", "tx_trials")
    op.drop_column("tx_trials", "resumed_epochs")
    op.drop_column("tx_trials", "uid")
    op.drop_table("tx_leads")
