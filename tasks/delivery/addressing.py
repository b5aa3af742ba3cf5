"""Addressing: the recipients of a notice, as they are at the moment of its hand-over.

Where a rota answers an audience at a site, the recipients are those of the people on duty; elsewhere they are
all that are tagged with the audience. The rules are in `itp_events.duty`; who reads the roster within the
claiming transaction decides about nothing that changes before the claim counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from itp_events.duty.answering import LAST, Answer, Gap, answer
from itp_events.duty.roster import Missing, Roster
from itp_events.protocol.model import PARTICIPANT, Protocol
from tasks.database.queries import NoticeRow
from tasks.delivery.channels import Channels, Recipient


class Addressee(NamedTuple):
    """A recipient, and the person on duty whose recipient it is; None: it is told with all others."""

    recipient: Recipient
    person: str | None = None


@dataclass(frozen=True, slots=True)
class Addressed:
    """The recipients of a notice. `gaps` are the audiences that were passed over, with the reasons.

    `by_rota`: people on duty are told, or stand-ins for them.
    """

    to: tuple[Addressee, ...]
    gaps: tuple[Gap, ...] = ()
    by_rota: bool = False


@dataclass(frozen=True, slots=True)
class Addressing:
    """Addresses notices by one roster at an instant `now` (UTC)."""

    roster: Roster
    protocol: Protocol
    channels: Channels
    now: datetime

    def of(self, notice: NoticeRow, site_code: str) -> Addressed:
        """The recipients of a notice about a subject of a site; one about a site itself names it."""
        if notice.audience == PARTICIPANT:
            return Addressed(tuple(map(Addressee, self._own(notice))), by_rota=True)
        site_code = notice.facts.get("site", site_code)
        if person := notice.facts.get("person"):
            return self._to_one(person)
        day = self.protocol.site(site_code).date_of(self.now)
        found = answer(
            self.roster, self.protocol.ladder, notice.audience, site_code, day, self.channels.reaches
        )
        if found.people is None:
            everybody = tuple(Addressee(each) for each in self.channels.of(found.audience, site_code))
            return Addressed(everybody, found.gaps, by_rota=bool(found.gaps))
        return Addressed(self._of_people(found), found.gaps, by_rota=True)

    def _own(self, notice: NoticeRow) -> Sequence[Recipient]:
        return self.channels.of_participant(notice.subject) if notice.subject else ()

    def _of_people(self, found: Answer) -> tuple[Addressee, ...]:
        return (*_once(self.channels, found.people or ()), *map(Addressee, self.channels.always))

    def _to_one(self, person: str) -> Addressed:
        """A notice for one person by name goes to nobody else; `ops` gets what cannot reach them."""
        theirs = tuple(_once(self.channels, (person,)))
        if theirs:
            return Addressed(theirs, by_rota=True)
        gaps = (Gap(LAST, (Missing(person, "no-address"),)),)
        return Addressed(tuple(Addressee(each) for each in self.channels.of(LAST)), gaps, by_rota=True)


def reached(addressee_person: str | None, recipient: Recipient | None) -> bool:
    """Whether a message to a recipient has told somebody: a copy that goes to a file tells nobody."""
    return addressee_person is not None or recipient is None or not recipient.gets_all_only


def _once(channels: Channels, people: Sequence[str]) -> list[Addressee]:
    found: dict[str, Addressee] = {}
    for person in people:
        for recipient in channels.of_person(person):
            found.setdefault(recipient.id, Addressee(recipient, person))
    return list(found.values())
