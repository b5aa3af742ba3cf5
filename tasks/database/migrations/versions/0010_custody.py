"""Notes the origin and the destination of the study: a database that was moved takes nothing in any more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

# An event would be recorded, or a message sent, in a database that nobody reads any more.
_CLOSED = ("events", "attempts")
_MOVED = "EXISTS (SELECT 1 FROM custody WHERE what IN ('moving', 'moved'))"
_SAID = "this study was moved to another database; see ITP_DATABASE_URL"


def upgrade() -> None:
    op.create_table(
        "custody",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("id", name="custody_pk"),
        sa.CheckConstraint("what IN ('restored', 'moving', 'moved')", name="custody_what_ck"),
    )
    if op.get_bind().dialect.name == "sqlite":
        _close_in_sqlite()
    else:
        _close_in_postgresql()


def _close_in_sqlite() -> None:
    for table in _CLOSED:
        op.execute(
            f"CREATE TRIGGER {table}_not_when_moved BEFORE INSERT ON {table} WHEN {_MOVED} "
            f"BEGIN SELECT RAISE(ABORT, '{_SAID}'); END"
        )


def _close_in_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION refuse_when_moved() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF {_MOVED} THEN RAISE EXCEPTION '{_SAID}'; END IF; RETURN NULL; END $$"
    )
    for table in _CLOSED:
        op.execute(
            f"CREATE TRIGGER {table}_not_when_moved BEFORE INSERT ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_when_moved()"
        )
