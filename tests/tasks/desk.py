"""A study's desk for the tests of its effects: a store, what comes in, and what is handed over."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from itp_events.events import Event
from itp_events.protocol.file import load_protocol
from itp_events.protocol.model import Protocol
from tasks.advance import Advanced, Answer, advance, record
from tasks.database import queries
from tasks.database.instance import Instance
from tasks.database.queries import AttemptRow, NoticeRow
from tasks.database.store import Store
from tasks.delivery.channels import Channels
from tasks.delivery.claiming import ClaimAtOnce, DeliveryContext, claim
from tasks.delivery.claims import Claim, Clocks
from tasks.delivery.deliver import Handed, record_outcome
from tasks.delivery.sending import Outcome
from tests.support.hand_over import hand_over
from tests.support.study import Study

ENROLLED_AT = datetime(2026, 1, 5, 3, tzinfo=UTC)


class ReportedLate(Study):
    """A subject whose enrolment is reported on the day after.

    Cells for the first infusion are of no use any more, so that one notice is due, and not two.
    """

    def enrol(self, on: str = "2026-01-04", **data: Any) -> Event:
        """Enrol an eligible subject; reported at `ENROLLED_AT`."""
        return super().enrol(on, **({"at": ENROLLED_AT} | data))


@dataclass
class Desk:
    """One open study. `out` is its console; `channels` may be changed as a user changes the file."""

    store: Store
    protocol: Protocol = field(default_factory=load_protocol)
    out: io.StringIO = field(default_factory=io.StringIO)
    channels: Channels = field(default_factory=Channels)
    instance: Instance = field(default_factory=Instance)
    # What the last door claimed at once.
    claimed: Sequence[Claim] = ()

    @classmethod
    def open(cls, url: str) -> "Desk":
        """A study in the database at a URL, which prints its notices."""
        out = io.StringIO()
        return cls(Store.open(url), out=out, channels=Channels(out=out))

    def configure(self, path: Path, *lines: str) -> None:
        """Use an Apprise configuration of these lines from now on."""
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.channels = Channels.from_config(path, self.out)

    def take(self, *events: Event, now: datetime | None = None, at_once: bool = False) -> list[Answer]:
        """Record events, by default at the instant at which the last of them was reported."""
        at = now or max(event.time for event in events)
        claiming = ClaimAtOnce(self.context, Clocks(at, at)) if at_once else None
        answers = record(self.store, self.protocol, events, at, claiming)
        self.claimed = claiming.claims if claiming else ()
        return answers

    def wake(self, code: str, now: datetime) -> Advanced:
        """Let time come in."""
        return advance(self.store, self.protocol, code, now)

    def hand_over(self, now: datetime, subject: str | None = "ITP-001") -> list[Handed]:
        """Hand over what is due of one subject, or with None of all."""
        parts = self.store, self.protocol, self.channels
        return hand_over(*parts, now, subject=subject, instance=self.instance)

    def claim(self, now: datetime, subject: str = "ITP-001") -> list[Claim]:
        """The first step of a hand-over alone, as if its process died right after."""
        return claim(self.context, subject, Clocks(now, now))

    def end(self, taken: Claim, outcome: Outcome) -> None:
        """The last step of a hand-over alone."""
        record_outcome(self.context, taken, outcome)

    @property
    def context(self) -> DeliveryContext:
        """What every hand-over needs."""
        return DeliveryContext(self.store, self.protocol, self.channels, self.instance)

    def notices(self, code: str | None = "ITP-001") -> list[NoticeRow]:
        """The subject's notices in the outbox."""
        return queries.notices_of(self.store, code)

    def notice(self, part: str, code: str | None = "ITP-001") -> NoticeRow:
        """The one notice whose key contains `part`."""
        found = [notice for notice in self.notices(code) if part in notice.key]
        assert len(found) == 1, f"{part} stands in {[notice.key for notice in found]}"
        return found[0]

    def attempts(self, code: str | None = "ITP-001") -> list[AttemptRow]:
        """Every send of the subject's notices."""
        return queries.attempts_of(self.store, code)


def outcomes(rows: Sequence[AttemptRow]) -> list[str | None]:
    """What became of each send, in order."""
    return [row.outcome for row in rows]


def later(instant: datetime, *, seconds: float = 0, **parts: float) -> datetime:
    """An instant after another."""
    return instant + timedelta(seconds=seconds, **parts)
