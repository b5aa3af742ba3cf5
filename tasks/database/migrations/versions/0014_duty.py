"""Adds the changes of duty, and notes with each delivery as whose recipient it was made.

Deliveries of earlier versions keep null: they went to everybody who was tagged with the audience.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tasks.database.triggers import refuse_changes

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("person", sa.Text))
    op.create_table(
        "duty_changes",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("actor", sa.Text),
        sa.Column("door", sa.Text, nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("hash", sa.Text),
        sa.PrimaryKeyConstraint("id", name="duty_changes_pk"),
    )
    refuse_changes(op.get_bind(), "duty_changes", "id = NEW.id")
