"""The daily digest: once for each site, date and audience, and only when there is something to say."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from itp_events.protocol.file import load_protocol
from tasks import digest
from tasks.board import reading
from tasks.board.cards import Card
from tasks.database.contents import Matter
from tasks.database.queries import notices_of
from tasks.text.render import Occasion, render
from tests.itp_events.rules.test_versions import assigned, versions
from tests.support import Receiver
from tests.support.study import INFUSIONS, Study, altered
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("DIG-01")

# Tuesday 3 February 2026 at the site (Asia/Shanghai); 08:30 there is 00:30 UTC.
TUESDAY = datetime(2026, 2, 3, tzinfo=UTC)
HALF_PAST_EIGHT = TUESDAY + timedelta(minutes=30)
SITE = load_protocol().site("01")


def post(desk: Desk, now: datetime) -> list[str]:
    return digest.post(desk.store, desk.protocol, "01", now)


def overdue(desk: Desk, study: Study) -> None:
    """INF3 was due until 29 January and nothing is recorded."""
    desk.take(study.enrol("2026-01-05"), study.done("INF1", "2026-01-05"), study.done("INF2", "2026-01-12"))
    desk.wake("ITP-001", HALF_PAST_EIGHT - timedelta(hours=1))


def test_a_digest_is_due_from_half_past_eight_at_the_site(desk: Desk, study: Study) -> None:
    desk.take(study.enrol("2026-01-05"))
    found = [
        digest.due(desk.store, desk.protocol, HALF_PAST_EIGHT + timedelta(minutes=late)) for late in (-1, 0)
    ]
    assert found == [[], [("01", TUESDAY.date())]]


def test_there_is_no_digest_on_a_day_off(desk: Desk, study: Study) -> None:
    desk.take(study.enrol("2026-01-05"))
    saturday = HALF_PAST_EIGHT + timedelta(days=4)
    assert not SITE.workdays.is_working(saturday.date())
    assert digest.due(desk.store, desk.protocol, saturday) == []


def test_a_digest_is_made_once_however_often_it_is_asked_for(desk: Desk, study: Study) -> None:
    overdue(desk, study)
    assert post(desk, HALF_PAST_EIGHT) == [
        "digest/01/2026-02-03/coordinator",
        "digest/01/2026-02-03/investigator",
    ]
    assert post(desk, HALF_PAST_EIGHT + timedelta(hours=1)) == []
    assert digest.due(desk.store, desk.protocol, HALF_PAST_EIGHT + timedelta(hours=1)) == []


def test_nothing_to_say_nothing_sent(desk: Desk, study: Study, told: Receiver) -> None:
    desk.take(study.enrol("2026-01-05"))
    desk.take(study.withdrew("2026-01-06"))
    desk.hand_over(study.instant("2026-01-06 12:00"), None)
    told.requests.clear()
    assert post(desk, HALF_PAST_EIGHT) == []
    desk.hand_over(HALF_PAST_EIGHT, None)
    assert told.requests == []
    assert {notice.status for notice in notices_of(desk.store, None)} == {"withdrawn"}
    assert digest.due(desk.store, desk.protocol, HALF_PAST_EIGHT + timedelta(hours=3)) == []


def test_the_coordinator_hears_what_is_overdue_today_and_this_week(desk: Desk, study: Study) -> None:
    overdue(desk, study)
    post(desk, HALF_PAST_EIGHT)
    (coordinator,) = [each for each in notices_of(desk.store, None) if each.audience == "coordinator"]
    rows = [(row["subject"], row["visit"]) for row in coordinator.facts["overdue"]]
    assert rows == [("ITP-001", "INF3")]
    assert coordinator.facts["waiting"] == []


@pytest.mark.requirement("AMD-01")
def test_the_coordinator_hears_which_consents_an_amendment_asks_for_and_who_may_still_be_moved(
    desk: Desk,
) -> None:
    desk.protocol = versions()
    moved, other = (Study(code=code, protocol=desk.protocol) for code in ("ITP-001", "ITP-002"))
    other.last_id = 500
    for study in (moved, other):
        desk.take(study.enrol("2026-01-05"))
        desk.take(study.done("INF1", "2026-01-05"))
    desk.take(assigned(moved, "2026-01-12 09:00"))
    for study in (moved, other):
        desk.wake(study.code, HALF_PAST_EIGHT)
    post(desk, HALF_PAST_EIGHT)
    (coordinator,) = [each for each in notices_of(desk.store, None) if each.audience == "coordinator"]
    assert coordinator.facts["consents"] == [{"subject": "ITP-001", "kind": "consent", "version": "2"}]
    assert coordinator.facts["versions"] == [{"version": "2", "since": "2026-01-10", "subjects": ["ITP-002"]}]
    for language, asked, behind in (
        ("en", "ITP-001: ask for the consent to protocol version 2", "1 subject follows another: ITP-002."),
        ("zh-CN", "ITP-001：请就方案版本 2 取得知情同意", "尚有 1 名受试者按其他版本随访：ITP-002。"),
    ):
        occasion = Occasion("digest", "coordinator", None, None, coordinator.facts)
        _, body = render(occasion, language, SITE.zone)
        assert asked in body
        assert behind in body


@pytest.mark.requirement("DEV-02")
def test_an_investigator_hears_only_what_waits_for_them(desk: Desk, study: Study) -> None:
    desk.take(study.enrol("2026-02-03", at="2026-02-03 08:00"))
    desk.take(study.medication("rescue", "2026-02-03", at="2026-02-03 08:10"))
    post(desk, HALF_PAST_EIGHT)
    (investigator,) = [each for each in notices_of(desk.store, None) if each.audience == "investigator"]
    assert [row["about"] for row in investigator.facts["waiting"]] == ["rescue-medication"]
    assert investigator.facts["today"] == investigator.facts["week"] == []


@pytest.mark.requirement("DEV-02")
def test_an_investigator_hears_which_important_deviations_are_to_be_assessed(
    desk: Desk, study: Study
) -> None:
    desk.take(study.enrol("2026-01-05"))
    desk.take(study.missed("INF1", "2026-01-14"))
    desk.wake("ITP-001", HALF_PAST_EIGHT)

    def waiting() -> list[Matter]:
        found = digest.content(
            reading.fresh_cards(desk.store, desk.protocol, HALF_PAST_EIGHT), "investigator", TUESDAY.date()
        )
        return [row for row in found["waiting"] if row["what"] == "deviation"]

    assert [(row["subject"], row["id"], row["since"]) for row in waiting()] == [
        ("ITP-001", "ITP-001/INF1/missed", "2026-01-12")
    ]
    desk.take(study.assessed("ITP-001/INF1/missed", at="2026-02-03 08:00"))
    assert waiting() == []


def test_a_subject_that_cannot_be_decided_about_keeps_nobody_elses_digest(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.protocol = altered(lambda data: data.update(version="9"))
    desk.take(Study(code="ITP-001", protocol=desk.protocol).enrol("2026-02-03", at="2026-02-03 08:00"))
    desk.protocol = load_protocol()
    other = Study(code="ITP-002")
    other.last_id = 10
    desk.take(other.enrol("2026-02-03", at="2026-02-03 08:00"))
    assert post(desk, HALF_PAST_EIGHT) == ["digest/01/2026-02-03/coordinator"]
    assert "ITP-001 cannot be read: protocol version '9' is not installed" in caplog.text


def test_reports_come_before_decisions_and_the_most_urgent_first() -> None:
    def waits(code: str, since: str, *deadlines: str) -> Card:
        clocks = [{"what": "AE-1", "deadline": at, "assumed": True} for at in deadlines]
        flags = [{"criterion": "adverse-event", "since": since, "assumed": True}]
        without: dict[str, object] = {"fatal": None, "disposition": False, "deviations": [], "visits": []}
        return cast("Card", {"code": code, "clocks": clocks, "flags": flags, **without})

    cards = [waits("ITP-001", "2026-02-02"), waits("ITP-002", "2026-02-03", "2026-02-04T01:00:00Z")]
    cards += [waits("ITP-003", "2026-01-30", "2026-02-03T01:00:00Z")]
    found = digest.content(cards, "investigator", TUESDAY.date())["waiting"]
    order = ["ITP-003", "ITP-002", "ITP-003", "ITP-001", "ITP-002"]
    assert [row["subject"] for row in found] == order
    assert [row["what"] for row in found] == ["report", "report", "flag", "flag", "flag"]


def test_a_hold_is_told_of_infusions_and_not_of_follow_up(desk: Desk, study: Study) -> None:
    desk.take(study.enrol("2026-02-03", at="2026-02-03 08:00"))
    other = Study(code="ITP-002")
    other.last_id = 500
    other.enrol("2025-10-20", consent_on="2025-10-18")
    other.on_target(*INFUSIONS, "FU-D14")
    desk.take(*(each for each in other.log if not each.own))
    desk.take(*(each.medication("rescue", "2026-02-03", at="2026-02-03 08:10") for each in (study, other)))
    post(desk, HALF_PAST_EIGHT)
    (coordinator,) = [each for each in notices_of(desk.store, None) if each.audience == "coordinator"]
    rows = [*coordinator.facts["today"], *coordinator.facts["overdue"]]
    assert {(row["visit"], row["held"]) for row in rows} >= {("INF1", True), ("FU-M1", False)}


def test_a_digest_that_could_not_leave_on_its_day_is_not_sent_the_next(desk: Desk, study: Study) -> None:
    overdue(desk, study)
    post(desk, HALF_PAST_EIGHT)
    assert [
        each for each in desk.hand_over(HALF_PAST_EIGHT + timedelta(days=1), None) if "digest" in each.notice
    ] == []


def test_a_digest_reaches_the_people_of_its_site(
    desk: Desk, study: Study, receiver: Receiver, tmp_path: Path
) -> None:
    names = ("coordinator-01", "coordinator-02", "investigator")
    desk.configure(tmp_path / "apprise.txt", *(f"{name}={receiver.apprise_url(name)}" for name in names))
    overdue(desk, study)
    desk.hand_over(HALF_PAST_EIGHT, None)
    receiver.requests.clear()
    post(desk, HALF_PAST_EIGHT)
    desk.hand_over(HALF_PAST_EIGHT, None)
    (request,) = receiver.at("coordinator-01")
    assert "ITP-001 INF3" in request.body["message"]
    assert receiver.at("coordinator-02") == []
    assert len(receiver.at("investigator")) == 1
