"""What is read: subjects, plans, calendars, health, metrics."""

from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
import vobject  # type: ignore[import-untyped]
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.exc import OperationalError

from flows.record_event import recorded
from itp_events.outputs.plan import plan
from itp_events.outputs.plan_json import document
from itp_events.protocol.file import BUILT_IN
from tasks.database.custody import Move, begin_move
from tasks.database.monitoring import BACKUP, ROUND, beat
from tasks.database.queries import history
from tasks.delivery.channels import Channels
from tasks.delivery.links import Call
from tasks.delivery.recipients import take
from tests.support.api import Door, done, event, served
from tests.support.receiver import Receiver
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("API-01")


def test_subjects_are_listed_by_code_and_paged(door: Door) -> None:
    for code in ("ITP-002", "ITP-001", "ITP-003"):
        door.enrol(code)
    assert [row["subject"] for row in door.get("/subjects").json()] == ["ITP-001", "ITP-002", "ITP-003"]
    page = door.get("/subjects", params={"after": "ITP-001", "limit": 1}).json()
    assert [row["subject"] for row in page] == ["ITP-002"]


def test_a_subject_is_shown_as_it_was_decided_last(door: Door) -> None:
    door.enrol()
    shown = door.get("/subjects/ITP-001").json()
    assert (shown["state"], shown["status"]) == ("INF1 window open", "on-treatment")


def test_a_plan_is_the_document_of_itp_plan(door: Door) -> None:
    door.enrol()
    answered = door.get("/subjects/ITP-001/plan").json()
    as_of = datetime.fromisoformat(answered["as_of"])
    assert answered == document(plan(door.study.protocol, history(door.study.store, "ITP-001"), as_of))


def test_who_is_not_enrolled_is_not_found(door: Door) -> None:
    for path in (
        *("/subjects/ITP-404", "/subjects/ITP-404/plan", "/subjects/ITP-404/calendar.ics"),
        *("/subjects/张三", "/subjects/%20/plan", f"/subjects/{'x' * 65}/calendar.ics"),
    ):
        answer = door.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


class Entries(dict[str, vobject.base.Component]):
    """A calendar's entries by UID, read by a parser of another library than wrote them."""

    def __init__(self, answer: httpx.Response) -> None:
        assert answer.headers["content-type"].startswith("text/calendar")
        entries = vobject.readOne(answer.text).vevent_list
        super().__init__((entry.uid.value, entry) for entry in entries)
        assert len(self) == len(entries), "every entry has a UID of its own"

    def of(self, visit: str, part: str, code: str = "ITP-001") -> vobject.base.Component:
        return self[f"{code}-{visit}-{part}@nct06813157"]


def test_a_calendar_spans_each_window_and_marks_its_target(door: Door) -> None:
    door.enrol()
    entries = Entries(door.get("/subjects/ITP-001/calendar.ics"))
    visits = door.get("/subjects/ITP-001/plan").json()["visits"]

    assert len(entries) == 2 * len(visits)
    for visit in visits:
        window, target = entries.of(visit["code"], "window"), entries.of(visit["code"], "target")
        assert f"{window.dtstart.value}" == visit["opens"]
        assert f"{window.dtend.value - timedelta(days=1)}" == visit["closes"]
        assert f"{target.dtstart.value}" == visit["target"]
        assert (window.status.value, window.summary.value) == ("CONFIRMED", f"ITP-001 {visit['code']} window")


def test_an_entry_keeps_its_uid_and_its_sequence_grows_when_its_date_moves(door: Door) -> None:
    door.enrol()
    before = Entries(door.get("/subjects/ITP-001/calendar.ics"))
    door.post(done("INF1", door.now))
    after = Entries(door.get("/subjects/ITP-001/calendar.ics"))

    moved = ("INF2", "window")
    assert set(before) <= set(after)
    assert before.of(*moved).dtstart.value != after.of(*moved).dtstart.value
    assert int(after.of(*moved).sequence.value) > int(before.of(*moved).sequence.value)
    assert after.of("INF1", "visit").summary.value == "ITP-001 INF1 done"
    assert after.of("INF1", "target").status.value == "CANCELLED"


def test_a_booked_date_is_shown_and_cancelled_when_the_booking_is_voided(door: Door) -> None:
    door.enrol()
    on = f"{door.now:%Y-%m-%d}"
    booking = event("visit.booked", "ITP-001", door.now, {"visit": "INF1", "on": on})
    door.post(booking)
    shown = Entries(door.get("/subjects/ITP-001/calendar.ics")).of("INF1", "visit")
    assert (f"{shown.dtstart.value}", shown.status.value) == (on, "CONFIRMED")

    named = {"event": {"source": "test", "id": booking["id"]}, "reason": "another subject's"}
    door.post(event("event.voided", "ITP-001", door.now, named))
    shown = Entries(door.get("/subjects/ITP-001/calendar.ics")).of("INF1", "visit")
    assert shown.status.value == "CANCELLED"


def test_infusions_are_tentative_while_the_subject_is_on_hold(door: Door) -> None:
    door.enrol()
    data = {"drug": "romiplostim", "kind": "rescue", "on": f"{door.now - timedelta(days=1):%Y-%m-%d}"}
    assert door.post(event("medication.changed", "ITP-001", door.now, data | {"detail": "x"})).is_success
    entries = Entries(door.get("/subjects/ITP-001/calendar.ics"))
    assert entries.of("INF2", "target").status.value == "TENTATIVE"
    assert entries.of("INF2", "window").summary.value == "ITP-001 INF2 window, on hold"
    assert entries.of("FU-D14", "target").status.value == "CONFIRMED"


def test_visits_that_no_longer_take_place_are_cancelled(door: Door) -> None:
    door.enrol()
    data = {"on": f"{door.now - timedelta(days=1):%Y-%m-%d}", "scope": "study"}
    assert door.post(event("consent.withdrawn", "ITP-001", door.now, data)).status_code == 201
    for path in ("/subjects/ITP-001/calendar.ics", "/agenda.ics"):
        entries = Entries(door.get(path))
        assert {entry.status.value for entry in entries.values()} == {"CANCELLED"}


def test_calendars_follow_the_version_to_which_a_subject_is_pinned(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    first = BUILT_IN.read_text(encoding="utf-8")
    later = first.replace('version: "1"', 'version: "2"').replace("target: P2W", "target: P3W")
    for folder, files in ((before, {"1": first}), (after, {"1": first, "2": later})):
        folder.mkdir()
        for name, text in files.items():
            (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    with served(tmp_path / "data", protocol=before) as door:
        door.enrol()
        dates = _windows(door)
    with served(tmp_path / "data", protocol=after) as door:
        door.enrol("ITP-002")
        assert _windows(door) == dates
        assert _windows(door, "ITP-002") != dates


def _windows(door: Door, code: str = "ITP-001") -> list[object]:
    entries = Entries(door.get(f"/subjects/{code}/calendar.ics"))
    return [entry.dtstart.value for entry in entries.values()]


def test_the_agenda_holds_every_subjects_visits_near_today(door: Door) -> None:
    door.enrol("ITP-001")
    door.enrol("ITP-002")
    near = Entries(door.get("/agenda.ics", params={"days": 5}))
    assert near.of("INF1", "window", "ITP-001")
    assert near.of("INF1", "window", "ITP-002")
    assert not [uid for uid in near if "FU-M12" in uid]
    assert [uid for uid in Entries(door.get("/agenda.ics", params={"days": 500})) if "FU-M12" in uid]


@pytest.mark.requirement("RUN-07")
def test_health_tells_what_works_and_what_does_not(door: Door) -> None:
    silent = door.get("/healthz")
    assert silent.status_code == 503
    assert silent.json()["runner"]["status"] == "down"

    beat(door.study.store, ROUND, door.now)
    well = door.get("/healthz")
    assert well.status_code == 200
    assert {name: check["status"] for name, check in well.json().items() if name != "status"} == {
        "database": "ok",
        "runner": "ok",
        "prefect": "degraded",
        "channels": "ok",
        "study": "ok",
        "backup": "ok",
    }

    beat(door.study.store, ROUND, door.now - timedelta(minutes=5))
    assert "was last at work" in door.get("/healthz").json()["runner"]["said"]


def test_a_process_lives_whatever_the_database_does_and_is_ready_while_it_answers(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = door.get("/readyz")
    # No loop is at work and Prefect is silent: events are taken in all the same.
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")

    def silent(*_: object, **__: object) -> object:
        raise OperationalError("SELECT 1", {}, OSError("gone"))

    monkeypatch.setattr(type(door.study.store), "reading", silent)
    assert door.get("/livez").json()["status"] == "ok"
    ready = door.get("/readyz")
    assert (ready.status_code, ready.json()["database"]["status"]) == (503, "down")


def test_a_process_on_a_database_that_the_study_has_left_is_not_ready(door: Door) -> None:
    move = Move("m-1", "moved", "postgresql://db/study", door.now)
    with door.study.store.writing() as connection:
        begin_move(connection, move)
    ready = door.get("/readyz")
    assert (ready.status_code, ready.json()["study"]["status"]) == (503, "down")
    assert door.get("/livez").status_code == 200


@pytest.mark.requirement("RUN-07")
def test_health_tells_when_the_last_good_backup_was(door: Door) -> None:
    assert "ITP_BACKUP_DIR is not set" in door.get("/healthz").json()["backup"]["said"]
    beat(door.study.store, BACKUP, door.now - timedelta(hours=49))
    said = door.get("/healthz").json()["backup"]["said"]
    assert f"the last was of {door.now - timedelta(hours=49):%Y-%m-%d %H:%M}Z" in said


@pytest.mark.requirement("RUN-07")
def test_health_says_that_a_recipient_fails_and_not_which(door: Door, receiver: Receiver) -> None:
    receiver.fail(503)
    door.enrol()
    said = wait_until(lambda: failing(door), "the outage to be noticed")
    assert "recipients that fail: 1" in said
    assert "127.0.0.1" not in said


@pytest.mark.requirement("RUN-07")
@pytest.mark.parametrize(("is_service", "word"), [(True, "down"), (False, "degraded")])
def test_health_says_that_nothing_is_handed_over_from_here(door: Door, is_service: bool, word: str) -> None:
    take(door.study.store, Channels(), "ward:/data", door.now)
    door.study.instance.watches = is_service
    check = door.get("/healthz").json()["channels"]
    assert (check["status"], "ward" in check["said"]) == (word, False)
    assert check["said"].endswith("its recipients are not the study's; see itp recipients")


def failing(door: Door) -> str:
    check = door.get("/healthz").json()["channels"]
    return str(check["said"]) if check["status"] == "degraded" else ""


def test_while_the_database_is_silent_who_asks_is_told_to_ask_again(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object, **__: object) -> object:
        raise OperationalError("SELECT 1", {}, OSError("gone"))

    monkeypatch.setattr(type(door.study.store), "reading", silent)
    monkeypatch.setattr(type(door.study.store), "write", silent)
    for answer in (door.get("/subjects"), door.post(done("INF1", door.now))):
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:itp:problem:unavailable")
        assert answer.headers["retry-after"] == "10"
    health = door.get("/healthz")
    assert (health.status_code, health.json()["database"]["status"]) == (503, "down")


def counts(door: Door) -> dict[tuple[str, ...], float]:
    """The samples of /metrics, by name and the values of their labels."""
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(door.get("/metrics").text)
        for sample in family.samples
    }


@pytest.mark.requirement("RUN-07")
def test_metrics_count_what_was_accepted_and_refused(door: Door) -> None:
    door.enrol()
    door.post(done("INF3", door.now))
    door.post({"type": "itp.visit.booked"})
    counted = counts(door)
    assert counted["itp_events_accepted_total", "itp.subject.enrolled"] == 1
    assert counted["itp_events_refused_total", "anchor-first", "itp.visit.completed"] == 1
    assert counted["itp_events_refused_total", "itp.visit.booked", "malformed"] == 1
    assert counted["itp_subjects", "on-treatment"] == 1
    assert ("itp_open_escalations",) in counted
    assert ("itp_oldest_undelivered_notice_seconds",) in counted
    assert ("itp_wake_lateness_seconds_count",) in counted


@pytest.mark.requirement("RUN-07")
def test_metrics_count_what_a_form_in_prefect_was_refused(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    door.enrol()
    monkeypatch.setattr("flows.record_event.current", lambda: door.study)
    decision = {"decision": "continue", "reason": "r", "on": f"{door.now:%Y-%m-%d}"}
    for stated in (done("INF3", door.now), event("withdrawal.decided", "ITP-001", door.now, decision)):
        assert recorded(stated).name == "Refused"
    counted = counts(door)
    assert counted["itp_events_refused_total", "anchor-first", "itp.visit.completed"] == 1
    assert counted["itp_events_refused_total", "itp.withdrawal.decided", "role"] == 1


# Pictures


def address(door: Door, code: str | None) -> str:
    return door.api.links.picture(code).removeprefix(door.api.links.base)


@pytest.mark.parametrize("code", ["ITP-001", None])
def test_a_picture_is_drawn_when_somebody_looks_and_needs_no_token(door: Door, code: str | None) -> None:
    door.enrol()
    before = door.get(address(door, code))
    assert door.post(done("INF1", door.now)).status_code == 201
    door.token("reader")
    assert door.get("/subjects").status_code == 401
    after = door.get(address(door, code))
    assert (before.status_code, before.headers["content-type"]) == (200, "image/png")
    assert before.content.startswith(b"\x89PNG")
    assert code is None or before.content != after.content


def test_an_address_of_a_picture_can_be_made_by_the_service_alone(door: Door) -> None:
    door.enrol()
    mine = address(door, "ITP-001")
    body, signature = mine.rsplit(".", 1)
    other = address(door, "ITP-002").rsplit(".", 1)[0]
    call = Call("a-notice", "ITP-001", "INF1", "coordinator")
    acknowledging = f"/pictures/{door.api.links.sign(call, door.now + timedelta(days=1))}"
    for changed in (f"{other}.{signature}", body, f"{body}.", "/pictures/ITP-001", acknowledging):
        answer = door.get(changed)
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:itp:problem:link")


def test_a_picture_of_who_is_not_enrolled_is_not_found(door: Door) -> None:
    assert door.get(address(door, "ITP-404")).status_code == 404
