"""Lets go of the drawings that were kept with the cards: they are made when somebody looks."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.drop_column("cards", "drawing")
