"""Adds the time-stamps of seals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tasks.database.triggers import refuse_changes

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "seal_stamps",
        sa.Column("seal", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("authority", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("hash", sa.Text),
        sa.PrimaryKeyConstraint("seal", name="seal_stamps_pk"),
        sa.ForeignKeyConstraint(["seal"], ["seals.number"], name="seal_stamps_seal_fk"),
    )
    refuse_changes(op.get_bind(), "seal_stamps", "seal = NEW.seal")
