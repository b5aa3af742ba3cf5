"""What a real Prefect is shown of the study, and that a change shows its subject alone."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa

from flows import ui_publisher
from flows.study.runtime import Runtime
from flows.ui_publisher import UIPublisher, publisher
from itp_events.events import Event
from itp_events.protocol.file import load_protocol
from tasks.board import keeping, links, reading
from tasks.board.story import story
from tasks.database.prefect_notes import remember_flow_runs
from tasks.database.schema import cards
from tasks.database.store import Store
from tasks.delivery.channels import Channels
from tasks.delivery.links import Links
from tests.support.damage import damage_log
from tests.support.prefect_server import PrefectServer
from tests.support.study import Study
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("RUN-10")

NOW = datetime(2026, 1, 20, 2, tzinfo=UTC)
LINKS = Links("https://visits.example.org", b"key")


@dataclass
class Standing:
    """A clock that stands still for the study, while the world's runs."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at

    def wall(self, instant: datetime) -> datetime:
        return instant

    def shows_at(self, world: datetime) -> datetime:
        return world

    def ahead(self, seconds: float) -> datetime:
        return self.at + timedelta(seconds=seconds)

    def seconds_until(self, instant: datetime) -> float:
        return (instant - self.at).total_seconds()


@pytest.fixture
def showing(sqlite_url: str, prefect_server: PrefectServer) -> Iterator[UIPublisher]:
    store = Store.open(sqlite_url)
    study = Runtime(
        store, load_protocol(), Channels(out=io.StringIO(), links=LINKS), Standing(), prefect_server.api_url
    )
    made = publisher(study)
    yield made
    made.prefect.close()
    store.close()


def enrol(showing: UIPublisher, *codes: str) -> list[Study]:
    """Subjects of whom INF1 was done, and INF2 is overdue."""
    told = [Study(code=code) for code in codes]
    for number, each in enumerate(told):
        each.last_id = 100 * number
        showing.study.record([each.enrol("2026-01-05"), each.done("INF1", "2026-01-05")], NOW)
    return told


def shown(showing: UIPublisher, key: str) -> Any:
    found = showing.prefect.call("GET", f"/artifacts/{key}/latest", absent_is_none=True)
    assert found is not None, f"nothing is shown under {key}"
    return found


def test_a_subjects_page_keeps_its_address_when_it_changes(showing: UIPublisher) -> None:
    (subject,) = enrol(showing, "ITP-701")
    showing.begin(None)
    showing.publish()
    before = shown(showing, "plan-itp-701")
    showing.study.record([subject.done("INF2", "2026-01-12")], NOW)
    showing.publish()
    after = shown(showing, "plan-itp-701")
    assert after["id"] == before["id"]
    assert "INF2 overdue" in before["data"]
    assert "Awaiting INF3" in after["data"]
    assert f"![Timeline of ITP-701]({LINKS.picture('ITP-701')})" in after["data"]
    assert f"![Every subject's visits]({LINKS.picture(None)})" in shown(showing, "study-board")["data"]
    assert shown(showing, "progress-itp-701")["data"] == pytest.approx(16.7)


def test_a_subject_whose_log_is_damaged_is_named_in_one_line_and_the_others_are_shown(
    showing: UIPublisher, caplog: pytest.LogCaptureFixture
) -> None:
    enrol(showing, "ITP-705", "ITP-706")
    damage_log(showing.study.store, "ITP-705", 1, "not json")
    showing.begin(None)
    showing.publish()
    assert "INF2 overdue" in shown(showing, "plan-itp-706")["data"]
    [said] = [record for record in caplog.records if "ITP-705" in record.getMessage()]
    assert said.exc_info is None
    assert "ITP-705 cannot be read: line 1 of its log is damaged" in said.getMessage()


def test_a_change_shows_its_subject_alone_however_many_wait(
    showing: UIPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_ = enrol(showing, "ITP-711", "ITP-712", "ITP-713")
    showing.begin(None)
    showing.publish()
    calls: list[str] = []
    real = httpx.Client.request

    def noted(client: httpx.Client, method: str, path: str, **how: Any) -> httpx.Response:
        calls.append(path)
        return real(client, method, path, **how)

    monkeypatch.setattr(httpx.Client, "request", noted)
    assert showing.publish() == 0
    assert calls == []
    showing.study.record([first.done("INF2", "2026-01-12")], NOW)
    assert showing.publish() == 1
    mine = [reading.artifact_id(showing.study.store, f"{kind}-itp-711") for kind in ("plan", "progress")]
    assert [path for path in calls if path != "/events"] == [f"/artifacts/{each}" for each in mine]


def test_the_board_links_to_the_plans_and_the_work_lists_are_saved_searches(showing: UIPublisher) -> None:
    enrol(showing, "ITP-721")
    showing.begin(None)
    showing.publish()
    plan = reading.artifact_id(showing.study.store, "plan-itp-721")
    board = shown(showing, links.BOARD)["data"]
    assert f"[ITP-721](/artifacts/artifact/{plan}) | INF2 · infusion 2 |" in board
    saved = {each["name"] for each in showing.prefect.call("POST", "/saved_searches/filter", {})}
    assert {"ITP: overdue", "ITP: on hold", "ITP: waiting for the investigator"} <= saved


def test_the_log_of_a_subjects_flow_run_leads_to_its_plan(showing: UIPublisher) -> None:
    enrol(showing, "ITP-741")
    run = str(uuid4())
    remember_flow_runs(showing.study.store, {"ITP-741": run})
    showing.begin(None)
    for at in (NOW, NOW + timedelta(days=2)):
        showing.show_subject("ITP-741", at)
    plan = reading.artifact_id(showing.study.store, "plan-itp-741")
    query = {"logs": {"flow_run_id": {"any_": [run]}}}
    lines = [each["message"] for each in showing.prefect.call("POST", "/logs/filter", query)]
    ui = showing.study.prefect_api.removesuffix("/api")
    assert [each for each in lines if f"{ui}/artifacts/artifact/{plan}" in each] == lines[:1]
    assert len(lines) == 2


def test_the_board_is_made_although_one_card_is_of_an_older_version(showing: UIPublisher) -> None:
    enrol(showing, "ITP-781", "ITP-782")
    showing.begin(None)
    showing.publish()
    with showing.study.store.writing() as connection:
        older = cards.update().where(cards.c.subject == "ITP-781")
        connection.execute(older.values(body={"code": "ITP-781", "visits": []}))
    showing.begin(None)
    showing.show_board(NOW)
    board = shown(showing, links.BOARD)["data"]
    assert "ITP-782" in board
    assert "ITP-781" not in board


def test_a_prefect_that_was_emptied_is_told_the_story_again(showing: UIPublisher) -> None:
    enrol(showing, "ITP-751")
    showing.begin(None)
    showing.publish()
    told = reading.kept(showing.study.store, "ITP-751")
    assert told is not None
    assert told.shown.told_seq > 0
    board = reading.artifact_id(showing.study.store, links.BOARD)
    showing.prefect.call("DELETE", f"/artifacts/{board}")
    showing.begin(None)
    again = reading.kept(showing.study.store, "ITP-751")
    assert again is not None
    assert (again.shown.told_seq, again.shown.told) == (0, [])


def test_the_progress_is_shown_although_the_card_was_made_ahead_of_its_page(showing: UIPublisher) -> None:
    [study] = enrol(showing, "ITP-791")
    showing.begin(None)
    showing.publish()
    showing.study.record([study.done("INF2", "2026-01-12")], NOW)
    told = story(showing.study.store, showing.study.protocol, "ITP-791", NOW)
    keeping.keep_ahead(showing.study.store, told, NOW)
    assert showing.publish() == 1, "its page is behind"
    assert shown(showing, links.progress_key("ITP-791"))["data"] == pytest.approx(16.7)


def test_the_board_costs_no_query_more_when_more_subjects_wait(
    showing: UIPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ui_publisher, "BOARD_SECONDS", 0.0)
    first, *_ = enrol(showing, "ITP-761", "ITP-762")
    showing.begin(None)
    showing.publish()
    few = _queries(showing, first.done("INF2", "2026-01-12"))
    others = [Study(code=f"ITP-77{number}") for number in range(9)]
    for number, each in enumerate(others, 10):
        each.last_id = 100 * number
        showing.study.record([each.enrol("2026-01-05")], NOW)
    while showing.publish():
        pass
    assert _queries(showing, first.booked("INF3", "2026-01-26", at="2026-01-13")) == few


def _queries(showing: UIPublisher, change: Event) -> int:
    """How often the study's database is asked to show one change, the board included."""
    showing.study.record([change], NOW)
    asked: list[str] = []
    engine = showing.study.store.engine
    listener = lambda *given: asked.append(given[2])  # noqa: E731 - SQLAlchemy removes what it was given
    sa.event.listen(engine, "before_cursor_execute", listener)
    try:
        showing.publish()
    finally:
        sa.event.remove(engine, "before_cursor_execute", listener)
    assert asked
    return len(asked)


def test_what_happened_is_told_once_with_the_subject_as_resource(showing: UIPublisher) -> None:
    subject = enrol_today(showing, "ITP-731")
    showing.begin(None)
    showing.publish()
    now = showing.study.clock.now()
    today, at = f"{showing.study.protocol.site('01').date_of(now)}", now - timedelta(minutes=4)
    showing.study.record([subject.medication("rescue", today, at=at)], now)
    showing.publish()
    expected = {"itp.recorded.subject.enrolled", "itp.recorded.medication.changed", "itp.withdrawal.flagged"}
    wait_until(lambda: set(_told(showing, "ITP-731")) >= expected, "the story", every=0.5)
    assert _told(showing, "ITP-731").count("itp.withdrawal.flagged") == 1


def test_the_link_to_what_happened_leads_to_one_subject_and_to_none_whose_code_begins_alike(
    showing: UIPublisher,
) -> None:
    codes = ("ITP-74", "ITP-741", "ITP-74.1")
    for code in codes:
        enrol_today(showing, code)
    showing.begin(None)
    showing.publish()
    for code in codes:
        wait_until(lambda code=code: _told(showing, code), "the enrolment", every=0.5)  # type: ignore[misc]
        assert _fed(showing, links.happened(code)) == {f"itp.subject.{code}"}


def enrol_today(showing: UIPublisher, code: str) -> Study:
    """Enrol a subject five minutes ago in the world's time: Prefect takes no news of another year."""
    clock = showing.study.clock
    assert isinstance(clock, Standing)
    clock.at = datetime.now(UTC)  # noqa: TID251 - Prefect's server knows no other time
    site = showing.study.protocol.site("01")
    told = Study(code=code)
    told.last_id = int.from_bytes(code.encode()) % 10**9  # ids of the subject's own
    at = clock.at - timedelta(minutes=5)
    consent = site.date_of(at) - timedelta(days=1)
    showing.study.record([told.enrol(f"{site.date_of(at)}", at=at, consent_on=f"{consent}")], clock.at)
    return told


def _fed(showing: UIPublisher, link: str) -> set[str]:
    """The resources of the events that Prefect's event feed shows under a link: either UI asks like this."""
    asked = parse_qs(urlsplit(link).query)["resource"]
    query = {"filter": {"any_resource": {"id_prefix": asked}}}
    found = showing.prefect.call("POST", "/events/filter", query)["events"]
    return {each["resource"]["prefect.resource.id"] for each in found}


def _told(showing: UIPublisher, code: str) -> list[str]:
    query = {"filter": {"resource": {"id": [f"itp.subject.{code}"]}}}
    return [each["event"] for each in showing.prefect.call("POST", "/events/filter", query)["events"]]
