"""The last sign of each part of the service, and the messages that a door could not map to events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_INSTANT = sa.String(27)


def upgrade() -> None:
    op.create_table(
        "heartbeats",
        sa.Column("part", sa.Text, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("part", name="heartbeats_pk"),
    )
    op.create_table(
        "leftovers",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("door", sa.Text, nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("problem", sa.Text, nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("settled_at", _INSTANT),
        sa.PrimaryKeyConstraint("id", name="leftovers_pk"),
    )
    op.create_index("leftovers_door_about_ix", "leftovers", ["door", "about"])
