"""Adds, changes and disables accounts, each time with a line in the account log.

No account is ever removed: events name it for decades.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from itp_events.errors import BadInput
from itp_events.validation_messages import did_you_mean
from tasks.accounts.account import COLUMNS, Account, account_of, checked_code, stored_account
from tasks.database.compiled import Compiled, Question, Row
from tasks.database.registered_values import note_values
from tasks.database.schema import account_log, accounts, sessions

What = Literal[
    "added",
    "changed",
    "disabled",
    "enabled",
    "password",
    "second-factor",
    "token",
    "token-revoked",
    "taken-over",
]


@dataclass(frozen=True, slots=True)
class By:
    """The author of a change: an account, `os:NAME` or None; the door, and the instant (UTC)."""

    actor: str | None
    door: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the account log; `actor` did `what` to `account`."""

    at: datetime
    actor: str | None
    door: str
    account: str
    what: str
    details: Mapping[str, Any]


def every_account(connection: sa.Connection) -> list[Account]:
    """All accounts, the disabled ones too, in order of code."""
    return [account_of(row) for row in connection.execute(sa.select(*COLUMNS).order_by(accounts.c.code))]


_ANY = Compiled(
    sa.select(sa.literal_column("1").label("found")).select_from(accounts).limit(sa.literal_column("1"))
)


ANY: Question = _ANY, {}
"""The question whether there is any account: a row, or none."""


def is_any(connection: sa.Connection) -> bool:
    """Whether there is any account: from the first one on, everybody has to sign in."""
    return bool(_ANY.ask(connection, {}))


_BY_CODE = sa.select(*COLUMNS).where(sa.func.lower(accounts.c.code) == sa.bindparam("folded"))
_FINDING = {False: Compiled(_BY_CODE), True: Compiled(_BY_CODE.with_for_update())}


def finding(code: str, *, lock: bool = False) -> Question:
    """The question for the account of a code in any case of its letters."""
    return _FINDING[lock], {"folded": code.lower()}


def found_in(rows: Sequence[Row]) -> Account | None:
    """The account in the rows of that question; None when there is none."""
    return stored_account(rows[0]) if rows else None


def find(connection: sa.Connection, code: str, *, lock: bool = False) -> Account | None:
    """The account of a code in any case of its letters; None when there is none."""
    statement, values = finding(code, lock=lock)
    return found_in(statement.ask(connection, values))


def get(connection: sa.Connection, code: str, *, lock: bool = False) -> Account:
    """`find`; raises BadInput when there is none."""
    found = find(connection, code, lock=lock)
    if found is None:
        near = did_you_mean(code, connection.scalars(sa.select(accounts.c.code)))
        raise BadInput(f"there is no account {code!r}{near or ';'} itp account list shows all", "ACCOUNT")
    return found


def add(connection: sa.Connection, account: Account, by: By, what: What = "added") -> None:
    """Add an account; raises BadInput when its code is taken, in whatever case."""
    checked_code(account.code)
    if find(connection, account.code) is not None:
        raise BadInput(f"there is an account {account.code!r} already", "CODE")
    row = _row(account) | {"code": account.code, "created_at": by.at}
    connection.execute(accounts.insert(), row)
    note_values(connection, accounts, row, by.at)
    note(connection, account.code, what, by, _shown(account))


def change(connection: sa.Connection, code: str, by: By, **new: Any) -> Account:
    """Give fields of an account new values, and log what changed; returns the account as it is then.

    Events that are being recorded for it end first; from then on its new rights count.

    Raises:
        BadInput: there is no such account, or nothing would change.
    """
    before = get(connection, code, lock=True)
    after = Account(**({name: getattr(before, name) for name in _FIELDS} | new))
    changed = {name: value for name, value in _shown(after).items() if _shown(before)[name] != value}
    if not changed:
        raise BadInput("nothing would change: it is so already", code)
    set_values(connection, before.code, {name: _row(after)[name] for name in changed}, by)
    if not after.active:
        end_sessions(connection, before.code, by.at)
    note(connection, before.code, _word(changed), by, changed)
    return after


def set_values(connection: sa.Connection, code: str, values: Mapping[str, Any], by: By) -> None:
    """Give columns of an account new values, and register these."""
    connection.execute(accounts.update().where(accounts.c.code == code).values(values))
    note_values(connection, accounts, {"code": code} | dict(values), by.at)


def end_sessions(connection: sa.Connection, code: str, at: datetime) -> None:
    """Sign an account out everywhere."""
    live = sessions.c.ended_at.is_(None), sessions.c.account == code
    connection.execute(sessions.update().where(*live).values(ended_at=at))


def note(connection: sa.Connection, code: str, what: What, by: By, details: Mapping[str, Any]) -> None:
    """Append a line to the account log; `details` holds no secret."""
    row = {"at": by.at, "actor": by.actor, "door": by.door, "account": code, "what": what}
    connection.execute(account_log.insert(), row | {"details": dict(details)})


def changes(connection: sa.Connection, code: str | None = None) -> list[Change]:
    """The account log, oldest first; with a code, of that account alone."""
    columns = [account_log.c[name] for name in ("at", "actor", "door", "account", "what", "details")]
    query = sa.select(*columns).order_by(account_log.c.id)
    rows = connection.execute(query if code is None else query.where(account_log.c.account == code))
    return [Change(**row._mapping) for row in rows]


_FIELDS = tuple(column.name for column in COLUMNS)


def _row(account: Account) -> dict[str, object]:
    sites = None if account.sites is None else list(account.sites)
    names = ("name", "role", "language", "speaks_for_others", "active")
    return {name: getattr(account, name) for name in names} | {"sites": sites}


def _shown(account: Account) -> dict[str, Any]:
    row = _row(account)
    return row | {"sites": "all" if account.sites is None else list(account.sites)}


def _word(changed: Mapping[str, Any]) -> What:
    if set(changed) != {"active"}:
        return "changed"
    return "enabled" if changed["active"] else "disabled"
