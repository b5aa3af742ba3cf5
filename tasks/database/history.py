"""Reads the data for a decision about a subject, its log and its open notices, in one query.

A statement costs more than the rows it reads. For display, `tasks.database.subject_record` reads more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from itp_events.events import Event, EventKey
from tasks.database import event_log, queries
from tasks.database.compiled import Compiled, Question, Row, ask_in_turn
from tasks.database.queries import SubjectRow
from tasks.database.schema import events, notices
from tasks.database.unreadable import Unreadable


@dataclass(frozen=True, slots=True)
class SubjectHistory:
    """A subject's whole log in sequence order, and the keys of the notices that bear on the next decision.

    `handed`: notices whose hand-over has begun. `waiting`: notices that are queued, and whose hand-over has
    not. `elsewhere`: by source and id, the events asked about that stand in the log of another subject;
    `damaged`: those whose line there cannot be read, each with the error that names it.
    """

    history: list[Event]
    handed: frozenset[str]
    waiting: frozenset[str]
    elsewhere: Mapping[EventKey, Event]
    # No two errors are equal. One that is here is missing from `elsewhere`, which is compared.
    damaged: Mapping[EventKey, Unreadable] = field(default_factory=dict, compare=False)


_CODE = sa.bindparam("code", type_=sa.Text)
_NONE = sa.null()


def _lines(
    what: str,
    seq: sa.ColumnElement[Any] = _NONE,
    body: sa.ColumnElement[Any] = _NONE,
    source: sa.ColumnElement[Any] = _NONE,
    key: sa.ColumnElement[Any] = _NONE,
    subject: sa.ColumnElement[Any] = _NONE,
) -> sa.Select[Any]:
    columns = {"what": sa.literal_column(f"'{what}'"), "seq": seq, "body": body, "source": source, "id": key}
    return sa.select(*(column.label(name) for name, column in (columns | {"subject": subject}).items()))


_HISTORY = _lines("event", seq=events.c.seq, body=events.c.body).where(events.c.subject == _CODE)
_HANDED = _lines("handed", key=notices.c.key).where(
    notices.c.subject == _CODE, notices.c.handed_at.is_not(None)
)
_WAITING = _lines("waiting", key=notices.c.key).where(
    notices.c.subject == _CODE, notices.c.status == "queued", notices.c.handed_at.is_(None)
)
_OF_ANOTHER = _lines(
    "elsewhere",
    seq=events.c.seq,
    body=events.c.body,
    source=events.c.source,
    key=events.c.id,
    subject=events.c.subject,
).where(events.c.subject != _CODE)
# Sources and ids apart, so that both databases use their index; pairs that were not asked for are left out
# later.
_ELSEWHERE = _OF_ANOTHER.where(
    events.c.source.in_(sa.bindparam("sources", expanding=True)),
    events.c.id.in_(sa.bindparam("ids", expanding=True)),
)
# Nearly every transaction asks for one event at most.
_ONE_ELSEWHERE = _OF_ANOTHER.where(
    events.c.source == sa.bindparam("source"), events.c.id == sa.bindparam("id")
)
_OF_THE_SUBJECT = Compiled(sa.union_all(_HISTORY, _HANDED, _WAITING).order_by("seq"))
_AND_OF_ANOTHER = Compiled(sa.union_all(_HISTORY, _HANDED, _WAITING, _ONE_ELSEWHERE).order_by("seq"))
_AND_OF_OTHERS = sa.union_all(_HISTORY, _HANDED, _WAITING, _ELSEWHERE).order_by("seq")


def read(connection: sa.Connection, code: str, stated: Collection[EventKey] = ()) -> SubjectHistory:
    """The history of a subject, enrolled or not; `stated` are the events to look for in other logs.

    Raises:
        Unreadable: a line of the subject's own log is damaged.
    """
    question = _question(code, stated)
    if question is None:
        sources, ids = [key[0] for key in stated], [key[1] for key in stated]
        asked = {"code": code, "sources": sources, "ids": ids}
        lines: Sequence[Row] = [dict(row) for row in connection.execute(_AND_OF_OTHERS, asked).mappings()]
    else:
        lines = question[0].ask(connection, question[1])
    return _in(lines, code, stated)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A subject whose row is to be locked, and the events to look for in the logs of others."""

    code: str
    stated: Collection[EventKey] = ()


Locked = tuple[SubjectRow | None, SubjectHistory]


def lock_and_read(
    connection: sa.Connection,
    wanted: Sequence[Wanted],
    beside: Sequence[Question] = (),
    *,
    in_any_case: bool = False,
) -> tuple[list[Locked], Sequence[Sequence[Row]]]:
    """Lock the rows of subjects, and read the history behind each.

    Other questions may be asked `beside`, once all rows are locked; their rows come back too. With
    `in_any_case` a code is found in any case of its letters. A server answers all in one round trip, if
    there is one stated event for each subject at most.

    Raises:
        Unreadable: a line of a subject's own log is damaged.
    """
    locking = [queries.locking(each.code, in_any_case=in_any_case) for each in wanted]
    histories = [_question(each.code, each.stated) for each in wanted]
    asked = [*locking, *(each for each in histories if each is not None), *beside]
    found = iter(ask_in_turn(connection, asked))
    rows = [queries.stored_subject(next(found)) for _ in wanted]
    lines = [None if each is None else next(found) for each in histories]
    locked = [
        (row, _behind(connection, row, each, its_lines))
        for row, each, its_lines in zip(rows, wanted, lines, strict=True)
    ]
    return locked, list(found)


def _behind(
    connection: sa.Connection, row: SubjectRow | None, wanted: Wanted, lines: Sequence[Row] | None
) -> SubjectHistory:
    """The history behind a locked row; `lines` are those of the code as it was asked for, if they were."""
    code = row.code if row else wanted.code
    if lines is None or code != wanted.code:
        return read(connection, code, wanted.stated)
    return _in(lines, code, wanted.stated)


def _in(lines: Sequence[Row], code: str, stated: Collection[EventKey]) -> SubjectHistory:
    of: dict[str, list[Row]] = {"event": [], "handed": [], "waiting": [], "elsewhere": []}
    for line in lines:
        of[line["what"]].append(line)
    # Sources and ids are asked for apart.
    asked_for = (line for line in of["elsewhere"] if (line["source"], line["id"]) in stated)
    elsewhere, damaged = _elsewhere(asked_for)
    return SubjectHistory(
        history=[event_log.read_line(code, line["seq"], line["body"]) for line in of["event"]],
        handed=frozenset(line["id"] for line in of["handed"]),
        waiting=frozenset(line["id"] for line in of["waiting"]),
        elsewhere=elsewhere,
        damaged=damaged,
    )


def _elsewhere(lines: Iterable[Row]) -> tuple[dict[EventKey, Event], dict[EventKey, Unreadable]]:
    """The events in lines of other logs, and the errors of those that cannot be read."""
    events_of_others: dict[EventKey, Event] = {}
    damaged: dict[EventKey, Unreadable] = {}
    for line in lines:
        key = (line["source"], line["id"])
        try:
            events_of_others[key] = event_log.read_line(line["subject"], line["seq"], line["body"])
        except Unreadable as problem:
            damaged[key] = problem
    return events_of_others, damaged


def _question(code: str, stated: Collection[EventKey]) -> Question | None:
    """The question for a history; None for several events, as a list of them has no text of its own."""
    if not stated:
        return _OF_THE_SUBJECT, {"code": code}
    if len(stated) > 1:
        return None
    [(source, key)] = stated
    return _AND_OF_ANOTHER, {"code": code, "source": source, "id": key}
