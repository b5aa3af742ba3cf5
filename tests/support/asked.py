"""The statements that a study's database is asked, in order, by their first words."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa

from tasks.database import postgresql, sqlite
from tasks.database.store import Store


@contextmanager
def asked_of(store: Store) -> Iterator[list[str]]:
    """The first word of each statement that is executed meanwhile, those that go past SQLAlchemy too."""
    asked: list[str] = []

    def noting(ask: Callable[..., Any]) -> Callable[..., Any]:
        def noted(connection: sa.Connection, questions: Any) -> Any:
            asked.extend(words.split()[0] for words, _ in questions)
            return ask(connection, questions)

        return noted

    listen = (store.engine, "before_cursor_execute", lambda *call: asked.append(call[2].split()[0]))
    sa.event.listen(*listen)
    try:
        with (
            patch.object(postgresql, "ask_together", noting(postgresql.ask_together)),
            patch.object(sqlite, "ask_each", noting(sqlite.ask_each)),
        ):
            yield asked
    finally:
        sa.event.remove(*listen)
