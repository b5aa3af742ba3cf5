"""The memory of REDCap that all processes share: its book, the turns of forms, the origin of events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_INSTANT = sa.String(27)


def upgrade() -> None:
    op.create_table(
        "redcap_books",
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("address", name="redcap_books_pk"),
    )
    op.create_table(
        "redcap_turns",
        sa.Column("form", sa.Text, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("until", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("form", name="redcap_turns_pk"),
    )
    op.create_table(
        "redcap_statements",
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("source", "id", name="redcap_statements_pk"),
    )
