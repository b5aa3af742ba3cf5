"""Notes the last code of each second factor that was taken, so that none counts twice."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "second_factors",
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("account", name="second_factors_pk"),
        sa.ForeignKeyConstraint(["account"], ["accounts.code"], name="second_factors_account_fk"),
    )
