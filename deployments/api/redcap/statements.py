"""The events that a form of a REDCap record stated so far, also under the name that the record had before.

The id of an event is the form's name and a count, so that a form which is saved again continues its own
events. A record may be renamed: then the form's events stand under another name, and are found by the
subject and by the form's place in the record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from deployments.api.redcap.rows import SavedForm
from itp_events.events import Event
from itp_events.rules.subject import not_voided
from tasks.database.queries import history, recorded
from tasks.database.redcap import Origin, origins, remember_origin
from tasks.database.store import Store

# An event's id must hold the form's name, a count and a suffix.
LONGEST_NAME = 120
# Events of which a subject has one, whatever the day.
_ONCE = ("itp.subject.enrolled", "itp.subject.died")


@dataclass(frozen=True)
class Stated:
    """The events of one form: their `number` so far, and the `valid` ones, which are not voided."""

    number: int
    valid: Sequence[Event]


@dataclass(frozen=True)
class Elsewhere:
    """A valid event of the same place in a record of another name, or by another notation of the place."""

    event: Event
    record: str


def name_of(form: SavedForm) -> str:
    """The form's name in the ids of its events; a long one is cut and ends in a hash."""
    name = str(form)
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 17]}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def stated(store: Store, source: str, form: SavedForm) -> Stated:
    """The events that the form stated so far under its own name, of any subject, in order."""
    events: list[Event] = []
    for number in count(1):
        event = recorded(store, (source, f"{name_of(form)}#{number}"))
        if event is None:
            break
        events.append(event)
    return Stated(len(events), _valid(store, events))


def _valid(store: Store, events: Sequence[Event]) -> list[Event]:
    logs = {event.subject: history(store, event.subject) for event in events}
    valid = {event.key for log in logs.values() for event in not_voided(log)}
    return [event for event in events if event.key in valid]


def remember(store: Store, source: str, identifier: str, form: SavedForm) -> None:
    """Keep which form states an event, before the event is recorded."""
    remember_origin(store, (source, identifier), Origin(form.record, _place(form)))


def elsewhere(store: Store, source: str, form: SavedForm, subject: str) -> list[Elsewhere]:
    """The subject's valid events that the same form stated while its record had another name."""
    mine = name_of(form)
    others = [
        event
        for event in not_voided(history(store, subject))
        if event.source == source and event.id.rpartition("#")[0] not in ("", mine)
    ]
    known = origins(store, source, [event.id for event in others])
    found = ((event, known.get(event.id) or _told_by_id(event.id, form)) for event in others)
    return [
        Elsewhere(event, origin.record) for event, origin in found if origin and origin.place == _place(form)
    ]


def is_same_thing(one: Event, other: Event) -> bool:
    """Whether two events speak of one thing: of one visit, one adverse event, or else of one day."""
    return (one.type, _thing(one)) == (other.type, _thing(other))


def _thing(event: Event) -> object:
    named = getattr(event.data, "visit", None) or getattr(event.data, "ae", None)
    return named or (None if event.type in _ONCE else getattr(event.data, "on", None))


def _place(form: SavedForm) -> str:
    """The form's place in a record. A form that does not repeat may be said to be its first repetition."""
    return "/".join((form.project, form.event, form.instrument, form.instance or "1"))


def _told_by_id(identifier: str, form: SavedForm) -> Origin | None:
    """The origin of an event whose form was not kept: its id tells it, unless it was cut."""
    name, start = identifier.rpartition("#")[0], f"{form.project}/"
    first = ("1", "") if form.instance in ("", "1") else (form.instance,)
    for instance in first:
        end = "".join(f"/{part}" for part in (form.event, form.instrument, instance) if part)
        if name.startswith(start) and name.endswith(end) and len(name) > len(start) + len(end):
            return Origin(name[len(start) : -len(end)], _place(form))
    return None
