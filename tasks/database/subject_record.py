"""All that the study's database holds of one subject, for display.

Decisions are not taken from it: they read `tasks.database.history`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from itp_events.errors import ItpError
from itp_events.events import Event
from tasks.database.event_log import NOT_KNOWN, Origin
from tasks.database.queries import (
    AttemptRow,
    LogLine,
    NoticeRow,
    attempts_in,
    codes_near_in,
    log_lines_in,
    notices_in,
    subject_in,
)
from tasks.database.store import Store


@dataclass(frozen=True, slots=True)
class NoticeOutcome:
    """The outcome of a notice so far; a recipient is named by its masked address.

    `recipients`: the number of recipients it was sent to. `arrived`: the sends that a recipient took.
    `failed`: the number of sends that were surely not taken. `without_success`: the largest number of sends
    that failed, or may have, to one recipient that still waits for the notice. `error`: the reason given
    last. `repeated`: whether a recipient may have received it twice.
    """

    recipients: int
    arrived: Sequence[AttemptRow]
    failed: int
    without_success: int
    error: str
    repeated: bool

    @property
    def arrived_at(self) -> datetime | None:
        """The instant (UTC) of the latest arrival; None when it has arrived nowhere."""
        return max((each.ended_at for each in self.arrived if each.ended_at), default=None)

    @property
    def arrived_by(self) -> list[str]:
        """The recipients that have it, in the order of the sends."""
        return list(dict.fromkeys(each.recipient for each in self.arrived))


@dataclass(frozen=True)
class SubjectRecord:
    """A subject's log in sequence order, its notices, oldest first, and all their sends.

    `seq` is the number of the last line of the log; `advanced_at` the instant (UTC) of the last decision.
    """

    code: str
    seq: int
    advanced_at: datetime
    flow_run_id: str | None = None
    log: Sequence[LogLine] = ()
    notices: Sequence[NoticeRow] = ()
    attempts: Sequence[AttemptRow] = ()

    @property
    def events(self) -> list[Event]:
        """The events of the log, the service's own decisions included."""
        return [line.event for line in self.log]

    def origin(self, event: Event) -> Origin:
        """The account and the door by which an event of the log came in."""
        return next((line.origin for line in self.log if line.event.key == event.key), NOT_KNOWN)

    @property
    def handed(self) -> frozenset[str]:
        """The keys of the notices whose hand-over has begun at least once."""
        return frozenset(each.key for each in self.notices if each.handed_at is not None)

    def tries(self, notice: NoticeRow) -> list[AttemptRow]:
        """The sends of one notice, in order."""
        return [each for each in self.attempts if each.notice == notice.key]

    def outcome(self, notice: NoticeRow) -> NoticeOutcome:
        """The outcome of one notice so far."""
        tries = self.tries(notice)
        return NoticeOutcome(
            recipients=len({each.recipient for each in tries}),
            arrived=[each for each in tries if each.outcome == "sent"],
            failed=sum(each.outcome == "failed" for each in tries),
            without_success=_without_success(tries),
            error=next((each.error for each in reversed(tries) if each.error), "no reason given"),
            repeated=any(each.repeated for each in tries),
        )


def _without_success(tries: Sequence[AttemptRow]) -> int:
    missed = Counter(
        each.recipient
        for each in tries
        if each.status in ("pending", "sending") and each.outcome in ("failed", "unknown")
    )
    return max(missed.values(), default=0)


def subject_record(store: Store, code: str) -> SubjectRecord:
    """The record of a subject.

    Raises:
        ItpError: nobody of that code is enrolled.
        Unreadable: a line of the log is damaged.
    """
    with store.reading() as connection:
        row = subject_in(connection, code)
        if row is None:
            near = codes_near_in(connection, code) or ";"
            raise ItpError(f"{code} is not enrolled here{near} `itp subjects` lists who is")
        return SubjectRecord(
            code,
            row.seq,
            row.advanced_at,
            row.flow_run_id,
            log_lines_in(connection, code),
            notices_in(connection, code),
            attempts_in(connection, code),
        )
