"""The first tables: architectures, studies, trials, epochs, artifacts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    _make_architectures()
    _make_studies()
    _make_trials()
    _make_epochs()
    _make_artifacts()


def downgrade() -> None:
    """Drop the tables with all that they hold."""
    for table in ("artifacts", "epochs", "trials", "studies", "architectures"):
        op.drop_table(f"tx_{table}")


def _make_architectures() -> None:
    op.create_table(
        "tx_architectures",
        sa.Column("arch_id", sa.String(), nullable=False),
        sa.Column("description", sa.JSON(), nullable=False),
        sa.Column("params", sa.BigInteger(), nullable=False),
        sa.Column("macs", sa.BigInteger(), nullable=False),
        sa.Column("macs_published", sa.BigInteger(), nullable=False),
        sa.Column("activations", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("arch_id", name="pk_tx_architectures"),
    )


def _make_studies() -> None:
    op.create_table(
        "tx_studies",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("space", sa.JSON(), nullable=False),
        sa.Column("recipe", sa.JSON(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("fidelity", sa.JSON(), nullable=False),
        sa.Column("objectives", sa.JSON(), nullable=False),
        sa.Column("baseline_arch_id", sa.String(), nullable=False),
        sa.Column("command", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_tx_studies"),
        _foreign_key("studies", "baseline_arch_id", "architectures", "arch_id"),
    )


def _make_trials() -> None:
    op.create_table(
        "tx_trials",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study", sa.String(64), nullable=False),
        sa.Column("arch_id", sa.String(), nullable=False),
        sa.Column("trained_arch_id", sa.String(), nullable=False),
        sa.Column("variant", sa.JSON(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("spec_key", sa.String(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("epochs_planned", sa.BigInteger(), nullable=False),
        sa.Column("code_version", sa.String(), nullable=False),
        sa.Column("packages", sa.JSON(), nullable=False),
        sa.Column("machine", sa.JSON(), nullable=False),
        sa.Column("epochs_run", sa.BigInteger(), nullable=False),
        sa.Column("val_accuracy", sa.Double(), nullable=True),
        sa.Column("val_loss", sa.Double(), nullable=True),
        sa.Column("train_seconds", sa.Double(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("reused_from", sa.Integer(), nullable=True),
        sa.Column("retry_of", sa.Integer(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_tx_trials"),
        _foreign_key("trials", "study", "studies", "name"),
        _foreign_key("trials", "arch_id", "architectures", "arch_id"),
        _foreign_key("trials", "trained_arch_id", "architectures", "arch_id"),
        _foreign_key("trials", "reused_from", "trials", "id"),
        _foreign_key("trials", "retry_of", "trials", "id"),
    )
    for columns in (["study", "state"], ["spec_key", "state"], ["arch_id"], ["trained_arch_id"]):
        op.create_index(f"ix_tx_trials_{'_'.join(columns)}", "tx_trials", columns)


def _make_epochs() -> None:
    op.create_table(
        "tx_epochs",
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("train_loss", sa.Double(), nullable=True),
        sa.Column("val_loss", sa.Double(), nullable=True),
        sa.Column("val_accuracy", sa.Double(), nullable=True),
        sa.Column("learning_rate", sa.Double(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("trial_id", "epoch", name="pk_tx_epochs"),
        _foreign_key("epochs", "trial_id", "trials", "id"),
    )


def _make_artifacts() -> None:
    op.create_table(
        "tx_artifacts",
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("trial_id", "kind", name="pk_tx_artifacts"),
        _foreign_key("artifacts", "trial_id", "trials", "id"),
    )


def _foreign_key(table: str, column: str, referred: str, key: str) -> sa.ForeignKeyConstraint:
    name = f"fk_tx_{table}_{column}_tx_{referred}"
    return sa.ForeignKeyConstraint([column], [f"tx_{referred}.{key}"], name=name)
