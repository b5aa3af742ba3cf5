"""The reminders that are wanted for subjects who agreed to be reminded themselves.

This module does not say what they say (contents.py does) and issues nothing (reconcile.py does). A reminder
stands only on its own day and between the hours that the protocol names: what could not leave then is not
sent at night or on the day after.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from itp_events.notices.wanted import WantedNotice, visit_key
from itp_events.protocol.model import PARTICIPANT, Participant, ParticipantReminder
from itp_events.rules.contact import agreement, date_agreed, declined
from itp_events.rules.state import SubjectState
from itp_events.rules.windows import PlannedVisit


def participant_reminders(state: SubjectState) -> Iterator[WantedNotice]:
    """The reminders of each visit whose day was agreed with a subject who wants to be reminded.

    A visit that is recorded, held or cancelled has none, nor has one for which the subject said that they
    cannot come on that day.
    """
    rule = state.protocol.participant
    if rule is None or state.exit or agreement(state.subject) is None:
        return
    for planned in state.visits:
        if _to_remind(state, planned):
            for reminder in rule.reminders:
                if reminder.visits is None or planned.code in reminder.visits:
                    yield _wanted(state, planned, rule, reminder)


def _to_remind(state: SubjectState, planned: PlannedVisit) -> bool:
    still_open = planned.outcome is None and planned.firm and not state.held(planned)
    return still_open and date_agreed(planned) and declined(state.subject, planned) is None


def _wanted(
    state: SubjectState, planned: PlannedVisit, rule: Participant, reminder: ParticipantReminder
) -> WantedNotice:
    site = state.subject.site
    day = planned.day - timedelta(days=reminder.days_before)
    key = visit_key(state.subject.code, planned.code, reminder.step, PARTICIPANT, planned.day)
    due, until = site.at(day, rule.from_), site.at(day, rule.until)
    return WantedNotice(key, "reminder", reminder.step, PARTICIPANT, due, until, planned, day=planned.day)
