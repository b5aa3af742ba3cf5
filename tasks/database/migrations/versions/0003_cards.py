"""The cards of the board, and the artifacts of Prefect that show them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_INSTANT = sa.String(27)


def upgrade() -> None:
    op.create_table(
        "cards",
        sa.Column(
            "subject", sa.Text, sa.ForeignKey("subjects.code", name="cards_subject_fk"), nullable=False
        ),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("advanced_at", _INSTANT, nullable=False),
        sa.Column("made_at", _INSTANT, nullable=False),
        sa.Column("open", sa.Boolean, nullable=False),
        sa.Column("drawing", sa.Text),
        sa.Column("shown_tags", sa.JSON, nullable=False),
        sa.Column("told_seq", sa.Integer, nullable=False),
        sa.Column("told", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("subject", name="cards_pk"),
    )
    op.create_table(
        "shown_artifacts",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("key", name="shown_artifacts_pk"),
    )
