"""An account, its role, and what each role may do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from itp_events.errors import BadInput
from tasks.database.compiled import Row
from tasks.database.schema import accounts, read_json

Role = Literal["reader", "recorder", "investigator", "monitor", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
Language = Literal["en", "zh-CN"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

# To read subjects, to state events, to decide and assess, to sign reviews of the record, to change accounts,
# to see the service's figures.
Right = Literal["read", "state", "decide", "review", "administer", "watch"]
_RIGHTS: dict[Role, frozenset[Right]] = {
    "reader": frozenset({"read", "watch"}),
    "recorder": frozenset({"read", "watch", "state"}),
    "investigator": frozenset({"read", "watch", "state", "decide", "review"}),
    "monitor": frozenset({"read", "watch", "review"}),
    "admin": frozenset({"watch", "administer"}),
}

# No colon: `os:NAME` is a user of the machine, and never an account.
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Account:
    """A person or program that may ask and state. `sites` None means all sites.

    `speaks_for_others`: it may state events `by` somebody else, as an EDC does.
    """

    code: str
    name: str
    role: Role
    sites: tuple[str, ...] | None = None
    language: Language = "en"
    speaks_for_others: bool = False
    active: bool = True

    def may(self, right: Right) -> bool:
        """Whether its role has a right."""
        return may(self.role, right)

    def sees(self, site: str) -> bool:
        """Whether a site is one of its sites."""
        return self.sites is None or site in self.sites


def may(role: Role, right: Right) -> bool:
    """Whether a role has a right."""
    return right in _RIGHTS[role]


def checked_code(code: str) -> str:
    """A code that an account may have; raises BadInput for any other."""
    if not _CODE.fullmatch(code):
        raise BadInput("a code has letters, digits, dots, - and _ only, 64 at most, as crc.li", "code")
    return code


COLUMNS = (
    accounts.c.code,
    accounts.c.name,
    accounts.c.role,
    accounts.c.sites,
    accounts.c.language,
    accounts.c.speaks_for_others,
    accounts.c.active,
)
"""The columns from which `account_of` makes an account."""


def account_of(row: Any) -> Account:
    """The account in a database's row that has `COLUMNS`."""
    return _account(row._mapping, row._mapping["sites"])


def stored_account(row: Row) -> Account:
    """The account in a row as it is stored that has `COLUMNS`."""
    # PostgreSQL's driver reads JSON by itself, and SQLite knows no truth values.
    sites = read_json(row["sites"]) if isinstance(row["sites"], str) else row["sites"]
    truths = {name: bool(row[name]) for name in ("speaks_for_others", "active")}
    return _account({**row, **truths}, sites)


def _account(named: Mapping[str, Any], sites: Sequence[str] | None) -> Account:
    return Account(
        **{column.name: named[column.name] for column in COLUMNS if column.name != "sites"},
        sites=None if sites is None else tuple(sites),
    )
