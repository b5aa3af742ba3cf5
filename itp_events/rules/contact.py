"""The subjects' own agreement to reminders, and their answers to them.

This module reminds of nothing and does not know how anybody is reached.
"""

from __future__ import annotations

from itp_events.events import Answered, ContactAgreed, Event
from itp_events.rules.subject import Subject, as_data
from itp_events.rules.windows import PlannedVisit


def agreement(subject: Subject) -> ContactAgreed | None:
    """The agreement to reminders that holds; None when there was never one, or it was taken back."""
    stated = subject.of(ContactAgreed)
    last = as_data(stated[-1], ContactAgreed) if stated else None
    return last if last and last.agreed else None


def date_agreed(planned: PlannedVisit) -> bool:
    """Whether the day of a visit was agreed with the subject: by a booking, or at enrolment."""
    return planned.booked is not None or planned.agreed


def answer_of(subject: Subject, planned: PlannedVisit) -> Event | None:
    """The last answer of the subject for the present day of a visit; None when there is none."""
    answers = (event for event in subject.of(Answered) if _is_for(event, planned))
    return max(answers, key=lambda event: (event.time, event.key), default=None)


def declined(subject: Subject, planned: PlannedVisit) -> Event | None:
    """The answer by which the subject cannot come on the present day of a visit that is still open."""
    answer = answer_of(subject, planned) if planned.outcome is None else None
    return answer if answer and as_data(answer, Answered).answer == "not-coming" else None


def _is_for(event: Event, planned: PlannedVisit) -> bool:
    data = as_data(event, Answered)
    return data.visit == planned.code and data.on == planned.day
