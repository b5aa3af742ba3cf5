"""`itp sign` and its HTTP doors: what is recorded, and reviews, are signed with the password, by who may."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from deployments.cli import cli
from itp_events.rules.subject import not_voided
from tasks.database.queries import history, log_lines
from tasks.signatures.signing import Signature, reviews_in, signatures_of
from tests.deployments.cli.test_accounts import PASSWORD, add, header, itp
from tests.support.api import Door, event, served

pytestmark = pytest.mark.requirement("WHO-10")


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """A study of an investigator, a recorder and a monitor, and a decision about its subject."""
    monkeypatch.setenv("ITP_DATA_DIR", str(tmp_path / "data"))
    with served(tmp_path / "data") as door:
        door.enrol()
        for code, role in (("inv.wu", "investigator"), ("crc.li", "recorder"), ("mon.sun", "monitor")):
            add(code, role)
        data = {"by": "inv.wu", "decision": "withdraw", "on": f"{door.now.date()}", "reason": "her wish"}
        decision = event("withdrawal.decided", "ITP-001", door.now, data)
        assert door.post(decision, headers=header("inv.wu")).status_code == 201
        yield door


def number(door: Door, kind: str = "itp.withdrawal.decided") -> int:
    """The line of an event in the log."""
    return next(line.seq for line in log_lines(door.study.store, "ITP-001") if line.event.type == kind)


def signatures(door: Door) -> list[Signature]:
    return signatures_of(door.study.store, "ITP-001", history(door.study.store, "ITP-001"))


def reviews(door: Door) -> list[Signature]:
    with door.study.store.reading() as connection:
        return reviews_in(connection)


def tried(*words: object, password: str = PASSWORD) -> Result:
    return CliRunner().invoke(cli, ["sign", *map(str, words)], input=f"{password}\n")


def test_an_investigator_signs_a_recorded_decision_afterwards(door: Door) -> None:
    assert "not signed" in itp("show", "ITP-001")
    done = tried("event", "itp-001", number(door), "--as", "inv.wu", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["account"] == "inv.wu"
    [signature] = signatures(door)
    assert (signature.account, signature.broken) == ("inv.wu", None)
    assert "withdraw" in signature.meaning or "leaves the study" in signature.meaning
    shown = itp("show", "ITP-001")
    assert "not signed" not in shown
    assert "inv.wu" in shown


@pytest.mark.parametrize(
    ("code", "password", "said"),
    [
        ("crc.li", PASSWORD, "only an investigator"),
        ("mon.sun", PASSWORD, "records nothing"),
        ("inv.wu", "a wrong password", "not known together"),
        ("nobody", PASSWORD, "not known together"),
    ],
)
def test_nobody_else_signs_a_decision(door: Door, code: str, password: str, said: str) -> None:
    done = tried("event", "ITP-001", number(door), "--as", code, password=password)
    assert (done.exit_code, signatures(door)) == (1, [])
    assert said in done.stderr


def test_neither_the_service_s_own_lines_nor_missing_ones_nor_voided_ones_are_signed(door: Door) -> None:
    own = next(line.seq for line in log_lines(door.study.store, "ITP-001") if line.event.own)
    for line in (own, 1000):
        assert tried("event", "ITP-001", line, "--as", "inv.wu").exit_code == 1
    decided = next(e for e in not_voided(history(door.study.store, "ITP-001")) if "decided" in e.type)
    reference = {"source": decided.source, "id": decided.id}
    void = {"by": "inv.wu", "event": reference, "reason": "typed by mistake"}
    assert door.post(event("event.voided", "ITP-001", door.now, void), headers=header("inv.wu")).is_success
    done = tried("event", "ITP-001", number(door), "--as", "inv.wu")
    assert "taken back" in done.stderr
    assert signatures(door) == []


def test_five_wrong_passwords_make_whoever_signs_wait(door: Door) -> None:
    given: Any = ("event", "ITP-001", number(door), "--as", "inv.wu")
    for _ in range(5):
        assert "not known" in tried(*given, password="a wrong password").stderr
    assert "too many attempts" in tried(*given).stderr


def test_a_monitor_signs_a_review_which_the_audit_trail_and_the_export_show(
    door: Door, tmp_path: Path
) -> None:
    done = tried("review", "--as", "mon.sun", "--json")
    assert done.exit_code == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["entries"]["decision"] == 1
    [review] = reviews(door)
    assert (review.account, review.broken) == ("mon.sun", None)
    assert review.statement is not None
    assert review.statement["sha256"] == said["sha256"]
    listed = json.loads(itp("audit", "--kind", "signature", "--json"))
    assert [each["actor"] for each in listed] == ["mon.sun"]
    itp("export", str(tmp_path / "out"))
    assert "itp-review" in (tmp_path / "out" / "signatures.csv").read_text()


def test_a_recorder_signs_no_review(door: Door) -> None:
    done = tried("review", "--as", "crc.li")
    assert (done.exit_code, reviews(door)) == (1, [])
    assert "signs no review" in done.stderr


def test_the_api_signs_with_the_password_beside_the_token(door: Door) -> None:
    line = {"subject": "ITP-001", "seq": number(door)}
    inv, crc = header("inv.wu"), header("crc.li")
    for headers, password in ((inv, "a wrong password"), (crc, PASSWORD)):
        answer = door.client.post("/signatures", json=line | {"password": password}, headers=headers)
        assert answer.status_code == 403
    assert signatures(door) == []
    answer = door.client.post("/signatures", json=line | {"password": PASSWORD}, headers=inv)
    assert (answer.status_code, answer.json()["account"]) == (201, "inv.wu")
    assert door.client.post("/signatures", json=line | {"password": PASSWORD}).status_code == 401
    again = door.client.post("/signatures", json=line | {"password": PASSWORD}, headers=inv)
    assert (again.status_code, again.json()["type"]) == (409, "urn:itp:problem:signature")
    assert [each.account for each in signatures(door)] == ["inv.wu"]


def test_the_api_signs_a_review(door: Door) -> None:
    answer = door.client.post("/reviews", json={"password": PASSWORD}, headers=header("mon.sun"))
    assert answer.status_code == 201
    assert [each.account for each in reviews(door)] == ["mon.sun"]
    of_a_year = {"password": PASSWORD, "since": 2026}
    assert door.client.post("/reviews", json=of_a_year, headers=header("mon.sun")).status_code == 422
    of_a_day = of_a_year | {"since": "2026-01-05", "until": "2026"}
    unread = door.client.post("/reviews", json=of_a_day, headers=header("mon.sun"))
    assert (unread.status_code, unread.json()["field"]) == (422, "until")
    refused = door.client.post("/reviews", json={"password": PASSWORD}, headers=header("crc.li"))
    assert refused.status_code == 403
