"""What people stated, read alone, gives the visits that the whole log gives."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from itp_events.rules.state import SubjectState, subject_state
from itp_events.rules.subject import fold
from tasks.database import queries
from tasks.database.schema import events
from tasks.database.stated import BY_PEOPLE, stated_lately, stated_of
from tests.support.study import Study, altered
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("OUT-02")

NOW = datetime(2026, 2, 3, 2, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=3650)


def several(desk: Desk) -> None:
    """One on hold for what it missed, one with a voided booking, one who died, one just enrolled."""
    studies = [Study(code=f"ITP-{number:03}") for number in (1, 2, 3, 10)]
    for number, study in enumerate(studies):
        study.last_id = 100 * number
    missing, booked, died, fresh = studies
    desk.take(missing.enrol(), missing.done("INF1", "2026-01-05"))
    desk.take(booked.enrol())
    booking = booked.booked("INF2", "2026-01-12", at="2026-01-06")
    desk.take(booking)
    desk.take(booked.voided(booking, at="2026-01-07"))
    desk.take(died.enrol(), died.died("2026-01-20"))
    desk.take(fresh.enrol("2026-02-02", at="2026-02-02 08:00"))
    for study in studies:
        for days in range(0, 30, 5):
            desk.wake(study.code, datetime(2026, 1, 5, tzinfo=UTC) + timedelta(days=days))


def by_the_whole_log(desk: Desk, code: str) -> SubjectState:
    subject = fold(desk.protocol, queries.history(desk.store, code))
    return subject_state(subject, NOW)


def same(found: SubjectState, expected: SubjectState) -> bool:
    names = ("visits", "flags", "stop", "exit", "ahead", "phase")
    return all(getattr(found, name) == getattr(expected, name) for name in names)


def test_the_facts_alone_give_every_subjects_visits(desk: Desk) -> None:
    several(desk)
    told = stated_lately(desk.store, LONG_AGO)
    rows = queries.all_subjects(desk.store)
    assert [(one.code, one.seq, one.advanced_at) for one in told] == [
        (row.code, row.seq, row.advanced_at) for row in rows
    ]
    for one in told:
        assert [each for each in queries.history(desk.store, one.code) if not each.own] == one.facts
        subject = one.folded(desk.protocol)
        assert same(subject_state(subject, NOW), by_the_whole_log(desk, one.code))
        assert stated_of(desk.store, one.code) == [one]


def test_a_subject_is_folded_by_the_version_to_which_its_enrolment_pinned_it(
    desk: Desk, study: Study
) -> None:
    desk.take(study.enrol())
    pinned = desk.protocol
    desk.protocol = altered(lambda data: data.update(version="later")).beside([pinned])
    (one,) = stated_of(desk.store, "ITP-001")
    assert one.folded(desk.protocol).protocol is pinned


def test_who_ended_long_ago_is_left_out_and_who_goes_on_is_not(desk: Desk) -> None:
    several(desk)
    assert [one.code for one in stated_lately(desk.store, NOW)] == ["ITP-001", "ITP-002", "ITP-010"]


def test_sqlite_finds_what_people_stated_by_an_index(sqlite_url: str) -> None:
    desk = Desk.open(sqlite_url)
    query = sa.select(events.c.type, sa.func.count()).where(BY_PEOPLE).group_by(events.c.type)
    asked = query.compile(desk.store.engine, compile_kwargs={"literal_binds": True})
    with desk.store.reading() as connection:
        plan = [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}")]
    desk.store.close()
    assert not [line for line in plan if line.startswith("SCAN")]


def test_of_nobody_nothing_is_stated(desk: Desk) -> None:
    assert stated_of(desk.store, "ITP-404") == []
