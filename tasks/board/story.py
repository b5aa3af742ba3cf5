"""One subject as its page shows it: its record, and what follows from it at one instant.

The part that the board keeps is the card (`tasks.board.cards`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from itp_events.decisions import Decision, decide
from itp_events.protocol.model import Protocol
from itp_events.rules.state import SubjectState
from itp_events.rules.subject import fold
from tasks.advance import decided_at
from tasks.database.queries import NoticeRow
from tasks.database.store import Store
from tasks.database.subject_record import SubjectRecord, subject_record
from tasks.database.unreadable import naming


@dataclass(frozen=True)
class Story:
    """A subject's record, and the decision that follows from it."""

    decision: Decision
    record: SubjectRecord

    @property
    def subject_state(self) -> SubjectState:
        """The subject's windows, flags and phase."""
        return self.decision.subject_state

    @property
    def code(self) -> str:
        """The subject's code."""
        return self.record.code

    @property
    def notices(self) -> Sequence[NoticeRow]:
        """The subject's notices, oldest first."""
        return self.record.notices


def story(store: Store, protocol: Protocol, code: str, now: datetime) -> Story:
    """A subject as it stands at `now`, an aware instant of the study's time.

    Raises:
        ItpError: nobody of that code is enrolled.
        Unreadable: its log cannot be read, or cannot be decided about.
    """
    record = subject_record(store, code)
    with naming(code):
        subject = fold(protocol, record.events, record.handed)
        return Story(decide(subject, decided_at(now, record.advanced_at)), record)
