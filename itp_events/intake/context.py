"""What an event is judged against: the log so far, and what holds by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from itp_events.errors import BadEvent
from itp_events.events import Enrolled, Event
from itp_events.protocol.model import Protocol
from itp_events.rules.state import SubjectState, subject_state
from itp_events.rules.subject import Subject, fold, standing
from itp_events.rules.windows import PlannedVisit


@dataclass(frozen=True)
class IntakeContext:
    """What an event is judged against: the log so far, and the instant of judging.

    `folded` is the subject that the log gives, where somebody has folded it already.
    """

    protocol: Protocol
    history: Sequence[Event]
    now: datetime
    folded: Subject | None = None

    @cached_property
    def enrolled(self) -> bool:
        """Whether an enrolment stands."""
        return self.folded is not None or any(
            isinstance(event.data, Enrolled) for event in standing(self.history)
        )

    @cached_property
    def subject(self) -> Subject:
        """The subject so far. Raises Refused when no enrolment stands."""
        return self.folded or fold(self.protocol, self.history)

    @cached_property
    def subject_state(self) -> SubjectState:
        """What holds so far."""
        return subject_state(self.subject, self.now)

    def planned(self, code: str) -> PlannedVisit:
        """The plan of one visit. Raises BadEvent for a code that the protocol does not have."""
        found = next((planned for planned in self.subject_state.visits if planned.code == code), None)
        if found is None:
            known = ", ".join(self.protocol.by_code)
            raise BadEvent(f"unknown visit {code!r}; the protocol has {known}", "data.visit")
        return found
