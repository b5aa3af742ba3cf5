"""The tables that hold facts, when a row of each may change no more, and the tables that hold none.

Every table of the database is in one of the two lists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from tasks.archive.contents import columns_of, key_of
from tasks.archive.form import Column
from tasks.database.schema import (
    account_log,
    attempts,
    custody,
    dead_letters,
    deliveries,
    duty_changes,
    notices,
    protocol_files,
    redcap_statements,
    repairs,
    screening_log,
    seal_stamps,
    service_log,
    sessions,
    sign_ins,
    signatures,
)


@dataclass(frozen=True)
class Facts:
    """A table of facts whose rows are registered.

    `settled` is true of a row that may change no more. The columns in `passing` hold no fact at any time.
    """

    table: sa.Table
    settled: sa.ColumnElement[bool]
    passing: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The table's name."""
        return self.table.name

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of the table's primary key."""
        return key_of(self.table)

    @property
    def columns(self) -> Sequence[Column]:
        """The columns of the table that hold facts, and the hash."""
        return [column for column in columns_of(self.table) if column.name not in self.passing]

    @property
    def made(self) -> tuple[str, ...]:
        """The columns that a row has from its beginning on, of which its own hash is."""
        columns: tuple[str, ...] = self.table.c.hash.info["made"]
        return columns

    @property
    def may_be_copied(self) -> bool:
        """Whether a copy of a row under another number would have the same hash, and no rule against it."""
        unique = any(isinstance(each, sa.UniqueConstraint) for each in self.table.constraints)
        return not unique and not set(self.key) <= set(self.made)


_ALWAYS = sa.true()
_NOTICE_IS_SETTLED = sa.exists().where(notices.c.key == deliveries.c.notice, notices.c.status != "queued")

FACTS: tuple[Facts, ...] = (
    Facts(screening_log, _ALWAYS),
    Facts(notices, notices.c.status != "queued"),
    Facts(
        deliveries,
        sa.or_(deliveries.c.status == "sent", sa.and_(deliveries.c.status != "sending", _NOTICE_IS_SETTLED)),
        passing=("next_at", "holder"),
    ),
    Facts(attempts, attempts.c.outcome.is_not(None)),
    Facts(dead_letters, dead_letters.c.settled_at.is_not(None)),
    Facts(redcap_statements, _ALWAYS),
    Facts(custody, custody.c.what != "moving"),
    Facts(protocol_files, _ALWAYS),
    Facts(seal_stamps, _ALWAYS),
    Facts(account_log, _ALWAYS),
    Facts(sign_ins, _ALWAYS),
    Facts(sessions, sessions.c.ended_at.is_not(None), passing=("seen_at",)),
    Facts(signatures, _ALWAYS),
    Facts(duty_changes, _ALWAYS),
    Facts(service_log, _ALWAYS),
    Facts(repairs, _ALWAYS),
)
"""The tables whose rows the register holds, each by its hash."""

CHAINED: Mapping[str, str] = {
    "events": "each subject's events are a chain, which ends in the subject's row",
    "subjects": "each row has the hash of all that it says, written with it",
    "register": "a chain, which ends in chains",
    "seals": "a chain, which ends in chains",
    "chains": "the ends of register and seals",
    "accounts": "the register has each value that the service wrote",
    "tokens": "the register has each value that the service wrote",
    "second_factors": "the register has each value that the service wrote",
    "cards": "each row has the hash of what the board shows, made with it",
}
"""The other tables of facts, and how each is checked."""

NO_FACTS: Mapping[str, str] = {
    "leases": "what a running service does just now",
    "senders": "signs of life of processes",
    "heartbeats": "signs of life of the service's parts",
    "recipients": "the recipients of today, read anew from their configuration",
    "outages": "recipients that fail at present; the sends that failed are in attempts",
    "troubles": "what a person must mend at present; looked for anew",
    "shown_artifacts": "pages in Prefect",
    "prefect_notes": "notes about the Prefect that shows the study",
    "redcap_books": "requests to REDCap of the last minute, and how far its log was read",
    "redcap_turns": "forms that a process takes just now",
    "verifications": "what was found last; found anew by the next verification",
}
"""The tables that hold no facts, and why: what is changed there is found by nobody, and changes no record."""

PASSING: Mapping[str, str] = {
    "subjects.flow_run_id": "a flow run in Prefect; the service makes it anew",
    "deliveries.next_at": "when the next try is due",
    "deliveries.holder": "the process that is sending just now",
    "sessions.seen_at": "when a session was used last",
    "cards.advanced_at": "by which the service sees that a card is behind, and makes it anew",
    "cards.shown_tags": "what Prefect was shown",
    "cards.told_seq": "what Prefect was told",
    "cards.told": "what Prefect was told",
}
"""The columns of tables of facts that hold no fact, and why."""
