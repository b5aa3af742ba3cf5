"""Dead letters: messages that a door could not turn into recorded events, kept until they come through.

An event that a rule refuses is none: its sender has the answer. A refused enrolment is in the screening log.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tasks.database.schema import dead_letters
from tasks.database.store import Store


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter: the door it came through, the thing it is about, and its problem, since `at` (UTC)."""

    id: int
    door: str
    about: str
    problem: str
    body: Any
    at: datetime


def keep(store: Store, door: str, about: str, problems: Iterable[tuple[str, Any]], now: datetime) -> None:
    """Keep the problems of one thing at `now`; its earlier dead letters are settled.

    A problem that is the same as before stays as it is, with the instant since which it stands.
    """
    left: list[tuple[str, Any]] = []
    for each in problems:
        if each not in left:
            left.append(each)
    mine = (dead_letters.c.door == door, dead_letters.c.about == about, dead_letters.c.settled_at.is_(None))
    with store.writing() as connection:
        query = (
            sa.select(dead_letters.c.problem, dead_letters.c.body).where(*mine).order_by(dead_letters.c.id)
        )
        if [tuple(row) for row in connection.execute(query)] == left:
            return
        connection.execute(dead_letters.update().where(*mine).values(settled_at=now))
        rows = [
            {"door": door, "about": about, "problem": problem, "body": body, "at": now}
            for problem, body in left
        ]
        if rows:
            connection.execute(dead_letters.insert(), rows)


def keep_anew(store: Store, door: str, about: str, problem: str, body: Any, now: datetime) -> None:
    """Keep a dead letter in place of the earlier ones of the same thing, under a number of its own.

    `settle` can then tell it from one that came meanwhile.
    """
    mine = (dead_letters.c.door == door, dead_letters.c.about == about, dead_letters.c.settled_at.is_(None))
    row = {"door": door, "about": about, "problem": problem, "body": body, "at": now}
    with store.writing() as connection:
        connection.execute(dead_letters.update().where(*mine).values(settled_at=now))
        connection.execute(dead_letters.insert(), row)


def newest(store: Store, door: str, about: str) -> int:
    """The number of the newest dead letter of a thing that is not settled; 0 when there is none."""
    query = sa.select(sa.func.max(dead_letters.c.id)).where(
        dead_letters.c.door == door, dead_letters.c.about == about, dead_letters.c.settled_at.is_(None)
    )
    with store.reading() as connection:
        return connection.scalar(query) or 0


def settle(store: Store, door: str, about: str, number: int, now: datetime) -> None:
    """Settle the dead letters of a thing up to a number."""
    mine = (dead_letters.c.door == door, dead_letters.c.about == about, dead_letters.c.settled_at.is_(None))
    with store.writing() as connection:
        connection.execute(
            dead_letters.update().where(*mine, dead_letters.c.id <= number).values(settled_at=now)
        )


def open_dead_letters(store: Store) -> list[DeadLetter]:
    """The dead letters that are not settled, the oldest first."""
    columns = [dead_letters.c[name] for name in ("id", "door", "about", "problem", "body", "at")]
    query = sa.select(*columns).where(dead_letters.c.settled_at.is_(None)).order_by(dead_letters.c.id)
    with store.reading() as connection:
        return [DeadLetter(**row._mapping) for row in connection.execute(query)]
