"""Calendars are written line by line for speed: held here against icalendar's own way to write them."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import pytest
from icalendar import Calendar
from icalendar import Event as Entry

from deployments.api.calendars import PAST
from tests.support.api import Door, done, event

WORDS = ("Infusion 1", "输注，第一次：" * 12, "a, b; c\\d \\N e" * 9, "x" * 74 + ",;")
RESCUE = {"drug": "romiplostim", "kind": "rescue", "detail": "x"}


def as_icalendar_writes(calendar: Calendar) -> bytes:
    """The same calendar built property by property from what was read, which folds and escapes anew."""
    anew = Calendar()
    for name, value in calendar.items():
        anew.add(name, value)
    for entry in calendar.events:
        made = Entry()
        for name in ("uid", "summary", "description", "status", "transp"):
            made.add(name, str(entry[name]))
        made.add("dtstamp", entry.DTSTAMP)
        made.add("sequence", int(str(entry["sequence"])))
        made.add("dtstart", entry.start)
        made.add("dtend", entry.end)
        anew.add_component(made)
    return bytes(anew.to_ical())


def several(door: Door) -> Iterator[str]:
    """A subject just enrolled, one with a booking, one on hold, one who has ended; a code of full length."""
    on = f"{door.now - timedelta(days=1):%Y-%m-%d}"
    for code in ("ITP-001", "ITP-002", "ITP-003", "Z" * 64):
        door.enrol(code)
        yield code
    stated = (
        done("INF1", door.now, "ITP-001"),
        event("visit.booked", "ITP-001", door.now, {"visit": "INF2", "on": f"{door.now:%Y-%m-%d}"}),
        event("medication.changed", "ITP-002", door.now, RESCUE | {"on": on}),
        event("consent.withdrawn", "ITP-003", door.now, {"on": on, "scope": "study"}),
    )
    for each in stated:
        answer = door.post(each)
        assert answer.is_success, answer.text


@pytest.mark.parametrize("label", WORDS)
def test_every_entry_is_written_as_icalendar_writes_it(
    door: Door, label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for visit in door.study.protocol.visits[:2]:
        monkeypatch.setitem(visit.__dict__, "label", label)
    paths = [f"/subjects/{code}/calendar.ics" for code in several(door)]
    for path in (*paths, "/agenda.ics", "/agenda.ics?days=1", "/agenda.ics?days=500"):
        written = door.get(path).content
        read = Calendar.from_ical(written)
        assert isinstance(read, Calendar)
        assert read.events
        assert written == as_icalendar_writes(read)
    assert [entry for entry in read.events if str(entry["description"]).startswith(label[:8])]


def test_the_agenda_holds_those_entries_of_every_subjects_calendar_that_touch_its_days(door: Door) -> None:
    codes = list(several(door))
    own = [entry for code in codes for entry in entries(door, f"/subjects/{code}/calendar.ics")]
    for days in (1, 30, 90, 500):
        first, last = span(door.now, days)
        shown = [each for each in own if each.start <= last and each.end > first]
        found = entries(door, f"/agenda.ics?days={days}")
        assert [each.to_ical() for each in found] == [each.to_ical() for each in shown]


def span(now: datetime, days: int) -> tuple[date, date]:
    return (now - PAST).date(), (now + timedelta(days=days)).date()


def entries(door: Door, path: str) -> list[Entry]:
    read = Calendar.from_ical(door.get(path).content)
    assert isinstance(read, Calendar)
    return read.events
