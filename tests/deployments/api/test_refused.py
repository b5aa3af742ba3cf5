"""What an account asked for without the right to it stands in the audit trail."""

from datetime import timedelta
from http import HTTPStatus

import pytest
from sqlalchemy.exc import OperationalError

from deployments.api.http.problems import Problem
from deployments.api.web import viewer
from itp_events.protocol.file import load_protocol
from tasks.accounts import tokens
from tasks.accounts.account import Account
from tasks.accounts.changing import By
from tasks.audit.entries import Entry, Kind, Wanted
from tasks.audit.reading import audit
from tasks.database import service_log
from tasks.database.custody import Moved
from tasks.database.event_log import Origin
from tests.support.api import Door, enrolment
from tests.support.pages import person
from tests.support.people import with_password

pytestmark = pytest.mark.requirement("AUD-01")


BROWSER = {"Accept": "text/html,application/xhtml+xml"}
REFUSALS: tuple[Kind, ...] = ("refusal",)


def _refusals(door: Door) -> list[Entry]:
    return audit(door.study.store, load_protocol(), Wanted(kinds=REFUSALS))


def test_a_request_without_the_right_is_listed_once_a_day(door: Door) -> None:
    reader = door.token("reader")
    for _ in range(2):
        assert door.post(enrolment("ITP-009", door.now), headers=reader).status_code == 403
    [entry] = _refusals(door)
    assert (entry.details["about"], entry.details["rule"], entry.door) == ("POST /events", "role", "api")
    assert entry.actor == "test"
    assert "yours is of role reader" in entry.what


def test_a_page_without_the_right_is_listed_without_what_stood_in_its_address(door: Door) -> None:
    door.enrol("ITP-001")
    who = person(door, "reader")
    assert who.client.get("/s/ITP-001/correct/1").status_code == 403
    [entry] = _refusals(door)
    assert (entry.details["about"], entry.door) == ("GET /s/{code}/correct/{seq}", "page")


def test_a_form_whose_sender_is_no_investigator_is_listed(door: Door) -> None:
    door.enrol("ITP-001")
    who = person(door, "recorder")
    who.open("/s/ITP-001/contact")
    answer = who.again("/s/ITP-001/decide", decision="withdraw", reason="her wish", token=who.token)
    assert answer.status_code == 403
    [entry] = _refusals(door)
    assert (entry.details["about"], entry.door) == ("POST /s/{code}/decide", "page")


def test_a_review_that_an_account_may_not_sign_is_listed(door: Door) -> None:
    password = "a long password of li"
    with_password(door, "crc.li", "recorder", password)
    by, token = By(None, "cli", door.now), tokens.make()
    with door.study.store.writing() as connection:
        account = Account("crc.li", "Name of crc.li", "recorder")
        tokens.add(connection, account, tokens.digest(token), "", by)
    headers = {"Authorization": f"Bearer {token}"}
    answer = door.client.post("/reviews", json={"password": password}, headers=headers)
    assert answer.status_code == 403, answer.text
    [entry] = _refusals(door)
    assert (entry.details["about"], entry.actor) == ("POST /reviews", "crc.li")


def test_a_refused_event_is_listed_as_the_event_alone(door: Door) -> None:
    door.enrol("ITP-001")
    data = {"by": "crc-01", "decision": "withdraw", "reason": "her wish", "on": f"{door.now:%Y-%m-%d}"}
    decided = enrolment("ITP-001", door.now) | {"type": "itp.withdrawal.decided", "data": data}
    assert door.post(decided, headers=door.token("recorder")).status_code == 403
    [entry] = _refusals(door)
    assert entry.subject == "ITP-001"


def test_a_refusal_of_another_day_is_listed_anew(door: Door) -> None:
    origin, store = Origin("crc.li", "api"), door.study.store
    for hours in (0, 23, 25):
        with store.writing() as connection:
            at = door.now + timedelta(hours=hours)
            service_log.note_barred(connection, "POST /events", origin, at, "no")
    assert len(_refusals(door)) == 2


@pytest.mark.parametrize(
    "trouble", [OperationalError("INSERT", {}, Exception("the disk is full")), Moved("it goes on elsewhere")]
)
def test_a_refusal_stands_where_the_audit_trail_cannot_be_written(
    door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: Exception
) -> None:
    def silent(*_: object) -> None:
        raise trouble

    monkeypatch.setattr(service_log, "note_barred", silent)
    answer = door.post(enrolment("ITP-009", door.now), headers=door.token("reader"))
    assert answer.status_code == 403
    assert "is not in the audit trail" in caplog.text


def test_a_browser_at_an_unknown_address_gets_a_page(door: Door) -> None:
    browser = door.get("/nowhere", headers=BROWSER)
    assert (browser.status_code, browser.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is nothing here." in browser.text
    program = door.get("/nowhere")
    assert (program.status_code, program.headers["content-type"]) == (404, "application/problem+json")


def test_a_browser_that_asks_an_address_otherwise_than_it_is_asked_gets_a_page(door: Door) -> None:
    answer = door.client.post("/today", headers=BROWSER)
    assert (answer.status_code, answer.headers["content-type"]) == (405, "text/html; charset=utf-8")
    assert door.client.post("/today").headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("trouble", "status"),
    [
        (OperationalError("SELECT", {}, Exception("gone")), 503),
        (Problem(HTTPStatus.SERVICE_UNAVAILABLE, "tokens", "no"), 503),
    ],
)
def test_somebody_who_is_signed_in_gets_a_page_where_nothing_can_tell_who_they_are(
    door: Door, monkeypatch: pytest.MonkeyPatch, trouble: Exception, status: int
) -> None:
    who = person(door, "recorder")

    def silent(*_: object) -> None:
        raise trouble

    monkeypatch.setattr(viewer, "by_proof", silent)
    pages = {path: who.client.get(path, headers=BROWSER) for path in ("/today", "/nowhere")}
    assert {path: page.status_code for path, page in pages.items()} == {"/today": status, "/nowhere": 404}
    assert all(page.headers["content-type"].startswith("text/html") for page in pages.values())
