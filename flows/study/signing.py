"""Signs what is recorded already: an event by the number of its line, or a review of the record.

What is stated on the pages is signed there, in the transaction that records it. Both ways keep the same
signature (`tasks.signatures`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from flows.study.roles import InRole
from itp_events.errors import Forbidden, Refused
from itp_events.events import Event, EventKey, Voided
from tasks.accounts import changing
from tasks.accounts.account import Account
from tasks.database.event_log import history, read_line
from tasks.database.queries import subject_called
from tasks.database.schema import events
from tasks.database.store import Store
from tasks.signatures.signing import Signer, sign, sign_review, taken_back


def sign_line(store: Store, account: Account, code: str, number: int, at: datetime) -> EventKey:
    """Sign a line of a subject's log, at an instant (UTC, the study's); returns the event's source and id.

    The account has proven who it is. What it may sign is judged in the transaction, by what it is then: what
    it might state itself.

    Raises:
        Refused: there is no such line, it was taken back, this account has signed it already, or (Forbidden)
            may not sign it.
    """

    def step(connection: sa.Connection) -> EventKey:
        signer = _counting(connection, account)
        row = subject_called(connection, code, lock=True)
        if row is None or not signer.sees(row.site):
            raise Refused("enrolment", f"{code} is not enrolled here")
        event = _line(connection, row.code, number)
        log = history(connection, row.code)
        if event.key in taken_back(log):
            raise Refused("signature", f"line {number} of {row.code} was taken back: nobody signs it")
        if error := InRole(signer).barred_from_signing(event, _target(event, log), row.site):
            raise error
        sign(Signer(signer.code, signer.name, signer.language), connection, [event], at)
        return event.key

    return store.write(step)


def sign_a_review(
    store: Store, account: Account, content: Mapping[str, Any], at: datetime, identity: str = ""
) -> str:
    """Sign a review of the record, whose `content` says what was reviewed; returns the review's id.

    Under one `identity` an account signs once; without any, the instant is it.

    Raises:
        Refused: this account signed a review under that identity, or (Forbidden) signs none.
    """
    identity = identity or f"{account.code}/{at:%Y-%m-%dT%H:%M:%S.%fZ}"

    def step(connection: sa.Connection) -> str:
        signer = _counting(connection, account)
        if not signer.may("review"):
            raise Forbidden("role", f"an account of the role {signer.role} signs no review")
        said = Signer(signer.code, signer.name, signer.language)
        sign_review(connection, identity, content, said, at)
        return identity

    return store.write(step)


def _counting(connection: sa.Connection, account: Account) -> Account:
    """The account as it is now; nobody changes it until the transaction ends."""
    found = changing.find(connection, account.code, lock=True)
    if found is None or not found.active:
        raise Forbidden("account", f"the account {account.code} counts no more")
    return found


def _line(connection: sa.Connection, code: str, number: int) -> Event:
    body = connection.scalar(sa.select(events.c.body).where(events.c.subject == code, events.c.seq == number))
    if body is None:
        raise Refused(
            "signature", f"the log of {code} has no line {number}; itp show {code} numbers what was recorded"
        )
    event = read_line(code, number, body)
    if event.own:
        raise Refused("signature", f"line {number} of {code} is a decision of the service: nobody signs it")
    return event


def _target(event: Event, log: list[Event]) -> Event | None:
    if not isinstance(event.data, Voided):
        return None
    key = event.data.event.source, event.data.event.id
    return next((each for each in log if each.key == key), None)
