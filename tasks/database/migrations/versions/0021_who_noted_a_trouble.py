"""Keeps which process noted a trouble of its own, so that the trouble ends with the process."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.add_column("troubles", sa.Column("noted_by", sa.Text))
