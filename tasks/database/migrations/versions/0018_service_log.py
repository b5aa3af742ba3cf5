"""Adds the service log: refused events, exports and backups."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tasks.database.triggers import refuse_changes

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "service_log",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("actor", sa.Text),
        sa.Column("door", sa.Text),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("hash", sa.Text),
        sa.PrimaryKeyConstraint("id", name="service_log_pk"),
        sa.CheckConstraint("what IN ('refused', 'exported', 'backed-up')", name="service_log_what_ck"),
    )
    op.create_index("service_log_about_ix", "service_log", ["about"])
    refuse_changes(op.get_bind(), "service_log", "id = NEW.id")
