"""What no file of a whole course could hold: in one file dates give the order, and not reports.

A record that came late tells of an earlier date: whatever was stated in between, before anybody knew, is
judged after it in a file, and may be refused there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from deployments.simulation.record import Record
from itp_events.events import AdverseEvent, Event
from itp_events.intake import judge
from itp_events.protocol import Protocol, Site
from itp_events.subject import happened

# As if the file were recorded when nothing of the course is still to come.
_LATER = timedelta(days=1000)


def overtaken(protocol: Protocol, record: Record) -> frozenset[str]:
    """The ids of a subject's facts that are refused when all arrive at once."""
    facts = record.facts
    if not facts or not _out_of_order(protocol.site("01"), facts):
        return frozenset()
    verdicts = judge(protocol, [], facts, max(event.time for event in facts) + _LATER).verdicts
    return frozenset(verdict.event.id for verdict in verdicts if verdict.error)


def _out_of_order(site: Site, facts: Sequence[Event]) -> bool:
    """Whether their dates give another order than their reports: adverse events aside, which end nothing."""
    places = [_place(site, event) for event in facts if not isinstance(event.data, AdverseEvent)]
    return any(later < earlier for earlier, later in pairwise(places))


def _place(site: Site, event: Event) -> tuple[object, datetime]:
    return happened(site, event), event.time
