"""Finds what is open of one subject or notice without reading everybody's."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.drop_index("notices_status_ix", "notices")
    op.create_index(
        "notices_queued_ix", "notices", ["status", "subject"], postgresql_where=sa.text("status = 'queued'")
    )
    op.drop_index("deliveries_status_next_at_ix", "deliveries")
    op.create_index(
        "deliveries_open_ix",
        "deliveries",
        ["status", "next_at"],
        postgresql_where=sa.text("status IN ('pending', 'sending')"),
    )
