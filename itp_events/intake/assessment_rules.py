"""The rules by which an assessment of a deviation is permitted or refused.

This module does not derive deviations: rules/deviations.py does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from difflib import SequenceMatcher

from itp_events.errors import Refused
from itp_events.events import DeviationAssessed, Event
from itp_events.intake.context import IntakeContext
from itp_events.rules.deviations import Deviation, deviations
from itp_events.rules.subject import as_data


def check_assessment(context: IntakeContext, event: Event) -> None:
    """Check that an assessment names a deviation of the subject, known now or when the assessment was stated.

    Raises:
        Refused: it names none (rule `deviation`).
    """
    named = as_data(event, DeviationAssessed).deviation
    now = deviations(context.subject_state)
    if named in {each.id for each in (*now, *_known_then(context, event))}:
        return
    raise Refused(
        "deviation",
        f"{event.subject} has no deviation {named!r}{_nearest(named, now)}; "
        f"`itp deviations --subject {event.subject}` lists them",
    )


def _known_then(context: IntakeContext, event: Event) -> tuple[Deviation, ...]:
    """The deviations known when the assessment was stated.

    One of them may be gone by now: a visit that counted as missed may have been entered since.
    """
    history = _log_of_then(context.history, event.time)
    then = IntakeContext(context.protocol, history, event.time)
    return deviations(then.subject_state) if then.enrolled else ()


def _log_of_then(log: Sequence[Event], instant: datetime) -> tuple[Event, ...]:
    """The log as it stood at an instant.

    The service's own decisions refer to earlier ones. They are kept up to the last that was made by then:
    some before it bear a later time where the clock was set back.
    """
    stood = max((place for place, each in enumerate(log, 1) if each.time <= instant), default=0)
    return tuple(each for each in log[:stood] if each.own or each.time <= instant)


def _nearest(named: str, known: tuple[Deviation, ...]) -> str:
    if not known:
        return ", nor any other"
    near = max(known, key=lambda each: SequenceMatcher(None, each.id.lower(), named.lower()).ratio())
    return f"; the nearest is {near.id!r} ({near.term})"
