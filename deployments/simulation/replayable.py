"""Finds statements that no file of a whole course could hold: in one file dates give the order, not reports.

A record that came late tells of an earlier date: whatever was stated in between, before anybody knew, is
judged after it in a file, and may be refused there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from deployments.simulation.record import Record
from itp_events.events import AdverseEvent, ContactAttempted, Event, SaeSubmitted, Unscheduled
from itp_events.intake.batch import judge
from itp_events.protocol.model import Protocol, Site
from itp_events.rules.subject import happened

# As if the file were recorded when nothing of the course is still to come.
_LATER = timedelta(days=1000)
_END_NOTHING = (AdverseEvent, ContactAttempted, SaeSubmitted, Unscheduled)


def overtaken(protocol: Protocol, record: Record) -> frozenset[str]:
    """The ids of a subject's facts that are refused when all arrive at once."""
    facts = record.facts
    if not facts or not _out_of_order(protocol.site("01"), facts):
        return frozenset()
    verdicts = judge(protocol, [], facts, max(event.time for event in facts) + _LATER).verdicts
    return frozenset(verdict.event.id for verdict in verdicts if verdict.error)


def _out_of_order(site: Site, facts: Sequence[Event]) -> bool:
    """Whether a record that came late goes, by its date, before what was stated without knowing it."""
    places = [(happened(site, event), event.time) for event in facts]
    return any(
        places[late] < places[early] and _concerns(facts[late], facts[early])
        for late in range(len(facts))
        if not isinstance(facts[late].data, _END_NOTHING)
        for early in range(late)
    )


def _concerns(late: Event, early: Event) -> bool:
    """Whether two statements are about different visits: those about one visit are in order in a file too."""
    return getattr(late.data, "visit", None) != getattr(early.data, "visit", "none")
