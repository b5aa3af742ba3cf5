"""The changes of duty in the database: they are added, and never edited.

What they mean is in `itp_events.duty`. `at` is in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from itp_events.duty.ahead import PlaceToday, look_ahead
from itp_events.duty.changes import (
    Absent,
    Back,
    Change,
    DutyVoided,
    Entry,
    named,
    read_change,
    write_change,
)
from itp_events.duty.roster import Roster, roster
from itp_events.errors import BadInput
from itp_events.protocol.model import Protocol
from itp_events.validation_messages import did_you_mean
from tasks.database.schema import accounts, duty_changes, subjects
from tasks.database.store import Store

_ACCOUNTS = sa.select(accounts.c.code, accounts.c.active)
_ALL = sa.select(duty_changes).order_by(duty_changes.c.id)


@dataclass(frozen=True, slots=True)
class Stated:
    """A change of duty: its number, when and by whom it was stated, and through which door."""

    id: int
    at: datetime
    actor: str | None
    door: str
    change: Change


def changes(store: Store) -> list[Stated]:
    """Every change, in the order in which they were stated."""
    with store.reading() as connection:
        return changes_in(connection)


def changes_in(connection: sa.Connection) -> list[Stated]:
    """`changes` within a transaction."""
    return [
        Stated(row.id, row.at, row.actor, row.door, read_change(row.body)) for row in connection.execute(_ALL)
    ]


def current_roster(store: Store) -> Roster:
    """The roster that all changes give."""
    with store.reading() as connection:
        return roster_in(connection)


def roster_in(connection: sa.Connection) -> Roster:
    """`current_roster` within a transaction."""
    stated = [Entry(each.id, each.change) for each in changes_in(connection)]
    return roster(stated, inactive(connection)) if stated else Roster()


def inactive(connection: sa.Connection) -> frozenset[str]:
    """The codes of the accounts that do not count any more."""
    return frozenset(connection.scalars(sa.select(accounts.c.code).where(~accounts.c.active)))


def state(store: Store, change: Change, now: datetime, *, actor: str | None, door: str) -> Stated:
    """Add a change, and return it with its number.

    Raises:
        BadInput: it takes back a change that is not there, or is taken back already; or it names somebody
            who has no account, or whose account is not active.
    """
    return store.write(lambda connection: _state(connection, change, now, actor, door))


def state_once(
    connection: sa.Connection, change: Change, now: datetime, *, actor: str | None, door: str
) -> tuple[Stated, bool]:
    """Add a change within a transaction, unless the last one says the same: then that one, and False.

    Of two people who press at the same moment, the second states nothing. Raises as `state`.
    """
    if connection.dialect.name == "postgresql":
        # SQLite has one writer at a time in any case.
        connection.execute(sa.text("LOCK TABLE duty_changes IN SHARE ROW EXCLUSIVE MODE"))
    stated = changes_in(connection)
    if stated and stated[-1].change == change:
        return stated[-1], False
    return _state(connection, change, now, actor, door), True


def _state(connection: sa.Connection, change: Change, now: datetime, actor: str | None, door: str) -> Stated:
    if isinstance(change, DutyVoided):
        _check_void(connection, change)
    _check_people(connection, change)
    row = {"at": now, "actor": actor, "door": door, "body": write_change(change)}
    number = connection.execute(duty_changes.insert(), row).inserted_primary_key
    assert number is not None
    return Stated(number[0], now, actor, door, change)


def _check_people(connection: sa.Connection, change: Change) -> None:
    """While there is no account at all the study goes by the codes that people write."""
    known = {row.code.lower(): row.active for row in connection.execute(_ACCOUNTS)}
    for person in named(change) if known else ():
        if person not in known:
            raise BadInput(
                f"there is no account {person}{did_you_mean(person, known)}; see: itp account list", "PERSON"
            )
        # Somebody who has left may still be said to be away.
        if not known[person] and not (isinstance(change, Absent | Back) and change.person == person):
            raise BadInput(f"the account {person} is not active; see: itp account list", "PERSON")


def _check_void(connection: sa.Connection, void: DutyVoided) -> None:
    stated = changes_in(connection)
    if any(isinstance(each.change, DutyVoided) and each.change.change == void.change for each in stated):
        raise BadInput(f"change {void.change} is taken back already", "ID")
    voided = next((each for each in stated if each.id == void.change), None)
    if voided is None or isinstance(voided.change, DutyVoided):
        known = "there is no change" if voided is None else "a void cannot be taken back, as"
        raise BadInput(f"{known} {void.change}; see: itp duty log", "ID")


def places_today(connection: sa.Connection, protocol: Protocol, now: datetime) -> list[PlaceToday]:
    """The duty today, and the gaps ahead, of each audience and site that has rotas; none without rotas."""
    roster = roster_in(connection)
    if not roster.slots():
        return []
    return [
        look_ahead(roster, audience, site, protocol.site(site).date_of(now))
        for audience, site in places_in(connection, roster, protocol)
    ]


def places(store: Store, roster: Roster, protocol: Protocol) -> list[tuple[str, str]]:
    """The audiences and sites that rotas answer: a rota for every site stands at each that is known."""
    with store.reading() as connection:
        return places_in(connection, roster, protocol)


def places_in(connection: sa.Connection, roster: Roster, protocol: Protocol) -> list[tuple[str, str]]:
    """`places` within a transaction."""
    enrolled = connection.scalars(sa.select(subjects.c.site).distinct().order_by(subjects.c.site))
    named = [site for _, site in roster.slots() if site]
    known = list(dict.fromkeys([*enrolled, *(code for code in protocol.sites if code != "default"), *named]))
    found = [
        (audience, each)
        for audience, site in roster.slots()
        for each in ([site] if site else known or ["default"])
    ]
    return list(dict.fromkeys(found))
