"""The holders of sends, and the recipients of the study."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_INSTANT = sa.String(27)


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("holder", sa.Text))
    op.create_table(
        "senders",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="senders_pk"),
    )
    op.create_table(
        "recipients",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("holder", sa.Text),
        sa.Column("since", _INSTANT, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="recipients_pk"),
    )
