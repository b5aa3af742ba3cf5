"""Signs recorded events and reviews, and tells whether each signature still holds.

A signature keeps the signer's account and printed name, its meaning and its instant (21 CFR 11.50), and the
SHA-256 of what was signed as it is stored, so that it cannot be carried over to another record (21 CFR
11.70). Whether the signer is who they say is checked before (`tasks.accounts`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from itp_events.errors import Refused
from itp_events.events import Event, EventKey, Voided
from itp_events.rules.subject import not_voided
from tasks.database.schema import events, signatures, stored
from tasks.database.store import Store
from tasks.hashing.rows import hash_of
from tasks.signatures.meaning import meaning, review_meaning

# The source under which reviews are kept; no event has it.
REVIEW = "itp-review"


@dataclass(frozen=True, slots=True)
class Signer:
    """A person who signs, whose password was just checked; `language` is that of the sentence."""

    account: str
    name: str
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature, and why it does not hold; None: it holds. `at` is in UTC.

    `source` and `id` name what was signed: an event, or a review, whose content is `statement`.
    """

    source: str
    id: str
    account: str
    subject: str | None
    name: str
    meaning: str
    at: datetime
    statement: Mapping[str, Any] | None = None
    broken: str | None = None

    @property
    def key(self) -> EventKey:
        """The source and id of the event that was signed."""
        return self.source, self.id


def sign(signer: Signer, connection: sa.Connection, stated: Sequence[Event], now: datetime) -> None:
    """Sign events that are recorded already, in their transaction or a later one, at `now` (UTC).

    Raises:
        Refused: an event is not in the log, or this account has signed it already.
    """
    for event in stated:
        digest = _digest_in(connection, event.key)
        if digest is None:
            raise Refused("signature", f"{event.source}: {event.id} is not recorded; record it first")
        said = meaning(event, signer.language)
        _keep(connection, signer, event.key, event.subject, said, now, digest, None)


def sign_review(
    connection: sa.Connection, identity: str, content: Mapping[str, Any], signer: Signer, now: datetime
) -> None:
    """Sign a review of the study's records: `content` as JSON types, with `until`, its last instant.

    Raises:
        Refused: this account has signed a review under that identity already.
    """
    said, digest = review_meaning(str(content["until"]), signer.language), hash_of(REVIEW, content)
    _keep(connection, signer, (REVIEW, identity), None, said, now, digest, content)


def _keep(
    connection: sa.Connection,
    signer: Signer,
    key: EventKey,
    subject: str | None,
    said: str,
    now: datetime,
    digest: str,
    statement: Mapping[str, Any] | None,
) -> None:
    source, identity = key
    mine = sa.select(signatures.c.at).where(
        signatures.c.source == source, signatures.c.id == identity, signatures.c.account == signer.account
    )
    if connection.scalar(mine) is not None:
        raise Refused("signature", f"{signer.account} has signed {source}: {identity} already")
    row = {
        "source": source,
        "id": identity,
        "account": signer.account,
        "subject": subject,
        "name": signer.name,
        "meaning": said,
        "at": now,
        "digest": digest,
        "statement": statement,
    }
    connection.execute(signatures.insert(), row)


def signatures_in(connection: sa.Connection, code: str, voided: Collection[EventKey] = ()) -> list[Signature]:
    """The signatures on a subject's events, oldest first. `voided` are the events that were taken back."""
    query = _joined().where(signatures.c.subject == code)
    return [_checked(row, voided) for row in _all(connection, query)]


def signatures_of(store: Store, code: str, log: Iterable[Event]) -> list[Signature]:
    """The signatures on the events of a subject's log, oldest first."""
    with store.reading() as connection:
        return signatures_in(connection, code, taken_back(log))


def taken_back(log: Iterable[Event]) -> set[EventKey]:
    """The keys of the events of a log that people stated and voided; a void itself is none of them."""
    known = list(log)
    counts = {event.key for event in not_voided(known)}
    return {
        each.key
        for each in known
        if not each.own and not isinstance(each.data, Voided) and each.key not in counts
    }


def reviews_in(connection: sa.Connection) -> list[Signature]:
    """The signed reviews, oldest first."""
    query = _joined().where(signatures.c.source == REVIEW)
    return [_checked(row, ()) for row in _all(connection, query)]


def _joined() -> sa.Select[Any]:
    line = [column.label(f"line_{column.name}") for column in _SIGNED]
    same = sa.and_(events.c.source == signatures.c.source, events.c.id == signatures.c.id)
    order = signatures.c.at, signatures.c.source, signatures.c.id, signatures.c.account
    return sa.select(signatures, *line).outerjoin(events, same).order_by(*order)


def _all(connection: sa.Connection, query: sa.Select[Any]) -> Iterable[sa.Row[Any]]:
    return connection.execute(query).all()


def _checked(row: sa.Row[Any], voided: Collection[EventKey]) -> Signature:
    kept = row._mapping
    return Signature(
        **{name: kept[name] for name in _SHOWN}, broken=_broken(kept, (row.source, row.id) in voided)
    )


def _broken(kept: sa.RowMapping, is_voided: bool) -> str | None:
    """The reason why a signature does not hold any more; None when it does."""
    if kept["source"] == REVIEW:
        return (
            None
            if hash_of(REVIEW, kept["statement"]) == kept["digest"]
            else "the review was changed after it was signed"
        )
    line = [kept[f"line_{column.name}"] for column in _SIGNED]
    if line[0] is None:
        return "the event is not in the log any more"
    if _digest(line) != kept["digest"]:
        return "the event was changed after it was signed"
    return "the event was taken back after it was signed" if is_voided else None


# The form of what is signed of an event; a signature covers no place in the log, which a move may not keep.
_EVENT = "signed event"
# The columns of a line of the log that are signed: all that is stored of an event but its place.
_SIGNED = (
    events.c.subject,
    events.c.source,
    events.c.id,
    events.c.type,
    events.c.time,
    events.c.recorded_at,
    events.c.body,
    events.c.actor,
    events.c.door,
)
_SHOWN = ("source", "id", "account", "subject", "name", "meaning", "at", "statement")


def _digest_in(connection: sa.Connection, key: EventKey) -> str | None:
    source, identity = key
    query = sa.select(*_SIGNED).where(events.c.source == source, events.c.id == identity)
    line = connection.execute(query).one_or_none()
    return None if line is None else _digest(line)


def _digest(line: Iterable[object]) -> str:
    return hash_of(
        _EVENT, stored(events, {each.name: value for each, value in zip(_SIGNED, line, strict=True)})
    )
