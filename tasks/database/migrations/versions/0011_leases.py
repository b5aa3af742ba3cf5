"""Lets several services share one study: the leases of jobs that one of them does, and of subjects."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("since", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("name", name="leases_pk"),
    )
    op.create_index("leases_holder_ix", "leases", ["holder"])
