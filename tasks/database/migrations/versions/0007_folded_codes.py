"""Finds a subject by its code in any case of its letters."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_index("subjects_folded_ix", "subjects", [sa.text("lower(code)")])
