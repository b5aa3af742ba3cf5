"""The context in which an event is judged: the log so far, and the state that follows from it.

This module holds no rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from itp_events.errors import BadEvent
from itp_events.events import Enrolled, Event
from itp_events.protocol.model import Protocol
from itp_events.rules.state import SubjectState, subject_state
from itp_events.rules.subject import Subject, fold, not_voided
from itp_events.rules.windows import PlannedVisit


@dataclass(frozen=True)
class IntakeContext:
    """The log so far and the instant of judging, `now` (aware).

    `folded` is the subject of that log when the caller has folded it already, else None.
    """

    protocol: Protocol
    history: Sequence[Event]
    now: datetime
    folded: Subject | None = None

    @cached_property
    def enrolled(self) -> bool:
        """Whether an enrolment stands in the log."""
        return self.folded is not None or any(
            isinstance(event.data, Enrolled) for event in not_voided(self.history)
        )

    @cached_property
    def subject(self) -> Subject:
        """The subject that the log gives.

        Raises:
            Refused: no enrolment stands.
        """
        return self.folded or fold(self.protocol, self.history)

    @cached_property
    def subject_state(self) -> SubjectState:
        """The state of the subject at `now`."""
        return subject_state(self.subject, self.now)

    def at_that_time(self, event: Event, code: str) -> IntakeContext:
        """The context for an event about a visit that only an earlier version of the subject's protocol has.

        What happened before the assignment of another version is judged by the version that held. For every
        other event the context is this one.
        """
        if code in {planned.code for planned in self.subject_state.visits}:
            return self
        earlier = self.subject.before(self.subject.happened(event), event.time)
        return replace(self, folded=earlier) if code in earlier.protocol.by_code else self

    def planned(self, code: str) -> PlannedVisit:
        """The plan of the visit with that code.

        Raises:
            BadEvent: the protocol has no such visit.
        """
        visit = next((planned for planned in self.subject_state.visits if planned.code == code), None)
        if visit is None:
            known = ", ".join(self.subject.protocol.by_code)
            raise BadEvent(f"unknown visit {code!r}; the protocol has {known}", "data.visit")
        return visit
