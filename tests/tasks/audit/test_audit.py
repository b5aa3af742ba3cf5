"""The audit trail: what a review looks at, each entry with its time, subject, person and reason."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from flows.study.roles import Speaker
from itp_events.protocol.file import load_protocol
from tasks.advance import record
from tasks.audit.entries import Entry, Kind, Wanted
from tasks.audit.reading import audit
from tasks.database import service_log
from tasks.database.event_log import Origin
from tasks.database.repairs import note_repair
from tasks.database.schema import account_log, accounts, custody, repairs, sign_ins
from tasks.database.store import Store
from tasks.integrity.verify import verify
from tests.support.damage import without_triggers
from tests.support.study import Study
from tests.tasks.desk import ENROLLED_AT, Desk

pytestmark = pytest.mark.requirement("AUD-01")

PROTOCOL = load_protocol()
LATER = ENROLLED_AT + timedelta(days=14)
CORRECTIONS: tuple[Kind, ...] = ("correction",)
AT_THE_DOOR = Speaker(actor="crc.li", door="api")


@pytest.fixture
def study(desk: Desk) -> Study:
    """A subject whose first infusion was entered six days late, and corrected at once."""
    study = Study()
    study.enrol("2026-01-05")
    done = study.done("INF1", "2026-01-05", at="2026-01-11 10:00")
    study.corrected(done, "2026-01-11 11:00", on="2026-01-06")
    _recorded(desk, study)
    return study


def _recorded(desk: Desk, study: Study) -> None:
    for event in (each for each in study.log if not each.own):
        [answer] = record(desk.store, PROTOCOL, [event], event.time, sender=AT_THE_DOOR)
        assert answer.status == "recorded", answer.error


def _said(entries: list[Entry]) -> list[tuple[str, str | None]]:
    return [(each.kind, each.actor) for each in entries]


def test_a_late_entry_and_a_correction_are_listed_with_who_was_signed_in(desk: Desk, study: Study) -> None:
    found = audit(desk.store, PROTOCOL, Wanted())
    assert sorted(_said(found)) == [("correction", "crc.li"), ("late", "crc.li"), ("late", "crc.li")]
    first = found[0]
    corrected = next(each for each in found if each.kind == "correction")
    assert (first.details["days"], first.subject, first.site, first.door) == (6, study.code, "01", "api")
    assert corrected.details["reason"]
    assert corrected.details["event"] == {"source": first.details["source"], "id": first.details["id"]}


@pytest.mark.parametrize(("days", "late"), [(4, 2), (5, 1), (6, 0)])
def test_late_is_more_than_so_many_days_after_the_date(
    desk: Desk, study: Study, days: int, late: int
) -> None:
    found = audit(desk.store, PROTOCOL, Wanted(late_days=days))
    assert [each.kind for each in found].count("late") == late


def test_a_booking_is_never_late(desk: Desk) -> None:
    study = Study()
    study.enrol("2026-01-05")
    study.booked("INF1", "2026-01-05", at="2026-01-06 12:00")
    _recorded(desk, study)
    assert audit(desk.store, PROTOCOL, Wanted(late_days=0)) == []


def _kept(store: Store, at: datetime) -> None:
    """An account with its log and sign-ins, a repair, a move."""
    with store.writing() as connection:
        person = {"code": "crc.li", "name": "Li", "role": "recorder", "language": "en", "created_at": at}
        connection.execute(accounts.insert().values(**person, speaks_for_others=False, active=True))
        change = {
            "actor": "admin",
            "door": "cli",
            "account": "crc.li",
            "what": "added",
            "details": {"role": "recorder"},
        }
        connection.execute(account_log.insert().values(id=1, at=at, **change))
        attempt = {"account": "crc.li", "address": "192.0.2.7", "outcome": "password"}
        connection.execute(sign_ins.insert().values(id=1, at=at + timedelta(minutes=1), **attempt))
        connection.execute(
            repairs.insert().values(id=1, what="flow run put back", at=at + timedelta(minutes=2))
        )
        connection.execute(
            custody.insert().values(
                id="r-1", what="restored", place="backup.zip", at=at + timedelta(minutes=3)
            )
        )


def test_accounts_sign_ins_repairs_and_the_study_s_custody_are_listed(desk: Desk) -> None:
    _kept(desk.store, LATER)
    found = audit(desk.store, PROTOCOL, Wanted())
    assert _said(found) == [("account", "admin"), ("sign-in", "crc.li"), ("repair", None), ("custody", None)]
    assert [each.what for each in found] == [
        "crc.li: added",
        "password, from 192.0.2.7",
        "flow run put back",
        "restored: backup.zip",
    ]


def test_a_refused_enrolment_is_listed_with_its_reasons(desk: Desk) -> None:
    young = Study(code="ITP-009").enrolment("2026-01-05", at="2026-01-05 09:30", screening={"age_years": 3})
    record(desk.store, PROTOCOL, [young], young.time, sender=AT_THE_DOOR)
    for wanted in (Wanted(), Wanted(site="01"), Wanted(account="crc.li")):
        [entry] = audit(desk.store, PROTOCOL, wanted)
        assert (entry.kind, entry.subject, entry.door) == ("refusal", "ITP-009", "api")
        assert "age 3 years" in entry.what


@pytest.mark.parametrize(
    ("wanted", "kinds"),
    [
        (Wanted(kinds=CORRECTIONS), ["correction"]),
        (Wanted(account="crc.li"), ["late", "correction", "late", "sign-in"]),
        (Wanted(account="nobody"), []),
        (Wanted(subject="ITP-777"), []),
        (Wanted(site="01"), ["late", "correction", "late"]),
        (Wanted(site="02"), []),
        (Wanted(since=LATER), ["account", "sign-in", "repair", "custody"]),
        (Wanted(until=LATER), ["late", "correction", "late"]),
        (Wanted(since=LATER, until=LATER + timedelta(minutes=2)), ["account", "sign-in"]),
    ],
)
def test_entries_are_chosen_by_time_subject_site_person_and_kind(
    desk: Desk, study: Study, wanted: Wanted, kinds: list[str]
) -> None:
    _kept(desk.store, LATER)
    found = audit(desk.store, PROTOCOL, wanted)
    assert sorted(each.kind for each in found) == sorted(kinds)
    assert [each.at for each in found] == sorted(each.at for each in found)


def test_a_damaged_line_is_named_and_hides_no_other(desk: Desk, study: Study) -> None:
    with desk.store.writing() as connection:
        on_sqlite = connection.dialect.name == "sqlite"
        freed = "DROP TRIGGER events_no_update" if on_sqlite else "ALTER TABLE events DISABLE TRIGGER ALL"
        connection.execute(sa.text(freed))
        connection.execute(sa.text("UPDATE events SET body = '{' WHERE type = 'itp.event.voided'"))
    kinds = [each.kind for each in audit(desk.store, PROTOCOL, Wanted())]
    assert sorted(kinds) == ["late", "late", "unreadable"]


def test_what_a_door_refused_is_listed_once_with_its_rule_and_who_sent_it(desk: Desk, study: Study) -> None:
    again = study.event("itp.visit.completed", "2026-01-12", LATER, visit="INF4")
    for _ in range(2):
        [answer] = record(desk.store, PROTOCOL, [again], LATER, sender=AT_THE_DOOR)
        assert answer.status == "refused"
    [entry] = [each for each in audit(desk.store, PROTOCOL, Wanted()) if each.kind == "refusal"]
    assert (entry.subject, entry.site, entry.actor, entry.door) == (study.code, "01", "crc.li", "api")
    assert entry.details["rule"]
    assert verify(desk.store).findings == ()


@pytest.mark.parametrize("instant", ["not a time", "2026-01-06T03:00:00", ""])
@pytest.mark.parametrize("column", ["events.recorded_at", "repairs.at", "service_log.at"])
def test_a_damaged_instant_keeps_no_other_entry_from_being_listed(
    desk: Desk, study: Study, column: str, instant: str
) -> None:
    """The row itself is listed as unreadable, with what else it says."""
    for number in range(3):
        note_repair(desk.store, f"put back {number}", LATER, study.code)
        with desk.store.writing() as connection:
            details = {"place": "here", "before": None, "after": "1"}
            service_log.note(connection, "settings", f"ITP_{number}", Origin(None, "cli"), LATER, details)
    before = audit(desk.store, PROTOCOL, Wanted())
    table, name = column.split(".")
    with desk.store.writing() as connection:
        without_triggers(connection)
        key, by_whom = ("seq", "actor = 'crc.li'") if table == "events" else ("id", "true")
        place = f"(SELECT max({key}) FROM {table} WHERE {by_whom})"
        change = sa.text(f"UPDATE {table} SET {name} = :instant WHERE {key} = {place}")
        connection.execute(change, {"instant": instant})
    after = audit(desk.store, PROTOCOL, Wanted())
    damaged = [each for each in after if each.kind == "unreadable"]
    assert len(after) == len(before)
    assert damaged
    assert all("its instant is damaged" in each.what for each in damaged)
    assert [each for each in after if each in before] == [each for each in before if each in after], (
        "the others are listed as before"
    )
    assert len([each for each in before if each not in after]) == len(damaged)
