"""Damages a study's database as a failing disk or a careless hand would."""

import sqlalchemy as sa

from tasks.database.store import Store


def damage_log(store: Store, code: str, seq: int, body: str) -> None:
    """Put something else in the place of one line of a subject's log, past the triggers that refuse it."""
    with store.writing() as connection:
        if connection.dialect.name == "sqlite":
            connection.execute(sa.text("DROP TRIGGER IF EXISTS events_no_update"))
        else:
            connection.execute(sa.text("ALTER TABLE events DISABLE TRIGGER ALL"))
        change = sa.text("UPDATE events SET body = :body WHERE subject = :code AND seq = :seq")
        connection.execute(change, {"body": body, "code": code, "seq": seq})


def without_triggers(connection: sa.Connection) -> None:
    """Let a transaction change what the triggers keep; SQLite has none from then on."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        return
    connection.execute(sa.text("PRAGMA defer_foreign_keys = ON"))
    for name in connection.scalars(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
        connection.execute(sa.text(f'DROP TRIGGER "{name}"'))
