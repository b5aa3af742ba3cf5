"""Adds the changes of duty, and notes with each delivery as whose recipient it was made.

Deliveries of earlier versions keep null: they went to everybody who was tagged with the audience.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_TABLE = "duty_changes"


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("person", sa.Text))
    op.create_table(
        _TABLE,
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("actor", sa.Text),
        sa.Column("door", sa.Text, nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"{_TABLE}_pk"),
    )
    if op.get_bind().dialect.name == "sqlite":
        _keep_in_sqlite()
    else:
        _keep_in_postgresql()


def _keep_in_sqlite() -> None:
    refuse = f"SELECT RAISE(ABORT, '{_TABLE} is append-only')"
    for verb in ("UPDATE", "DELETE"):
        op.execute(f"CREATE TRIGGER {_TABLE}_no_{verb.lower()} BEFORE {verb} ON {_TABLE} BEGIN {refuse}; END")
    # INSERT OR REPLACE deletes the row that it replaces without firing its DELETE trigger.
    op.execute(
        f"CREATE TRIGGER {_TABLE}_no_replace BEFORE INSERT ON {_TABLE} "
        f"WHEN EXISTS (SELECT 1 FROM {_TABLE} WHERE id = NEW.id) BEGIN {refuse}; END"
    )


def _keep_in_postgresql() -> None:
    op.execute(
        f"CREATE FUNCTION {_TABLE}_refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_TABLE} is append-only'; END $$"
    )
    call = f"EXECUTE FUNCTION {_TABLE}_refuse_change()"
    op.execute(f"CREATE TRIGGER {_TABLE}_no_change BEFORE UPDATE OR DELETE ON {_TABLE} FOR EACH ROW {call}")
    op.execute(f"CREATE TRIGGER {_TABLE}_no_truncate BEFORE TRUNCATE ON {_TABLE} FOR EACH STATEMENT {call}")
