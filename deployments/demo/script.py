"""The demonstration's subjects: a dozen of a simulated study, chosen so that their fates differ.

Their events are those that `itp simulate` gives; the service is told each of them when its time has come.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from deployments.simulation.engine import Study, follow
from deployments.simulation.people.behaviour_file import load_behaviour
from itp_events.events import Event, parse_event
from itp_events.protocol.model import Protocol

BEHAVIOUR = Path(__file__).parent / "behaviour.yaml"
_SEED = 7
# Chosen by hand from this seed's subjects: some complete soon, others enrol while it runs; visits are
# late, missed and escalated, flags wait and are decided, consent is withdrawn, a serious adverse event runs.
_NUMBERS = (7, 9, 11, 13, 28, 31, 52, 66, 67, 68, 72, 73)
# The clock starts so late in the simulated study that subjects of every age are under way.
_BEFORE = timedelta(days=430)


@dataclass(frozen=True)
class Script:
    """The instant (UTC) at which the clock starts, and all events that people state, in order of time."""

    begins: datetime
    events: tuple[Event, ...]
    codes: tuple[str, ...]


def begins(protocol: Protocol) -> datetime:
    """The instant (UTC) at which the demonstration's clock starts."""
    first = load_behaviour(BEHAVIOUR).start
    return protocol.site("01").midnight(first + _BEFORE)


def script(protocol: Protocol) -> Script:
    """The demonstration's dozen subjects; the same in every demonstration."""
    behaviour = load_behaviour(BEHAVIOUR)
    study = Study(protocol, behaviour, _SEED, behaviour.start)
    records = [follow(study, number) for number in _NUMBERS]
    codes = {record.code: f"DEMO-{number:02d}" for number, record in enumerate(records, 1)}
    events = [_renamed(event, codes) for record in records for event in record.facts]
    ordered = sorted(events, key=lambda event: event.time)  # stable: the order of each log stays
    return Script(begins(protocol), tuple(ordered), tuple(codes.values()))


def _renamed(event: Event, codes: dict[str, str]) -> Event:
    text = json.dumps(event.to_json()).replace(event.subject, codes[event.subject])
    return parse_event(json.loads(text.replace('"simulation"', '"demonstration"')))
