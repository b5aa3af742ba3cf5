"""`itp account` and `itp token`: who may ask, from the command line to the pages."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deployments.cli import cli
from tasks.database.queries import history, log_lines
from tasks.signatures.signing import signatures_of
from tests.support.api import Door, done, event, served
from tests.support.pages import Person, said, visitor

pytestmark = pytest.mark.requirement("WHO-02")

PASSWORD = "correct horse battery"


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """A served study, whose command line is at hand."""
    home = tmp_path / "data"
    monkeypatch.setenv("ITP_DATA_DIR", str(home))
    with served(home) as door:
        yield door


def itp(*words: str, given: str | None = None) -> str:
    """What a command prints."""
    done = CliRunner().invoke(cli, words, input=given, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def add(code: str, role: str, *more: str) -> None:
    words = ("account", "add", code, "--name", "Somebody", "--role", role, "--password-file", "-", *more)
    itp(*words, given=f"{PASSWORD}\n")


def header(*words: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {itp('token', 'new', *words).strip()}"}


def contact(door: Door, **data: Any) -> dict[str, Any]:
    stated = event("contact.attempted", "ITP-001", door.now, {"on": f"{door.now.date()}", "reached": True})
    stated["data"] |= data
    return stated


def test_a_token_of_an_account_fills_in_who_states_an_event(door: Door) -> None:
    door.enrol()
    add("crc.li", "recorder")
    crc = header("crc.li")
    stated = contact(door)
    del stated["data"]["by"]
    assert door.post(stated, headers=crc).status_code == 201
    refused = door.post(contact(door, by="crc.wu"), headers=crc)
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:itp:problem:by")
    assert door.post(contact(door, by="crc.li")).status_code == 401


def test_a_revoked_token_and_a_disabled_account_are_refused_at_once(door: Door) -> None:
    door.enrol()
    add("crc.li", "recorder")
    first, second = header("crc.li"), header("crc.li")
    assert [door.post(contact(door, by="crc.li"), headers=each).status_code for each in (first, second)] == [
        201,
        201,
    ]
    listed = json.loads(itp("token", "list", "--json"))
    itp("token", "revoke", listed[0]["token"])
    itp("account", "disable", "crc.li")
    for each in (first, second):
        assert door.post(contact(door, by="crc.li"), headers=each).status_code == 403
        assert door.get("/subjects", headers=each).status_code == 401
    log = json.loads(itp("account", "list", "--log", "--json"))
    assert [line["what"] for line in log] == [
        *("added", "password", "token", "token", "token-revoked", "disabled")
    ]
    assert all(line["actor"].startswith("os:") for line in log)


def test_an_account_of_one_site_sees_nothing_of_another(door: Door) -> None:
    door.enrol("ITP-001", site="01")
    door.enrol("ITP-002", site="02")
    add("crc.li", "recorder", "--sites", "01")
    crc = header("crc.li")
    assert [row["subject"] for row in door.get("/subjects", headers=crc).json()] == ["ITP-001"]
    for path in ("/subjects/ITP-002", "/subjects/ITP-002/plan", "/subjects/ITP-002/calendar.ics"):
        assert door.get(path, headers=crc).status_code == 404
        assert door.get(path.replace("002", "001"), headers=crc).status_code == 200
    agenda = door.get("/agenda.ics", headers=crc).text
    assert "ITP-001" in agenda
    assert "ITP-002" not in agenda
    assert door.post(contact(door, by="crc.li") | {"subject": "ITP-002"}, headers=crc).status_code == 403
    who = Person(visitor(door), "crc.li", PASSWORD)
    assert who.sign_in().status_code == 303
    assert who.client.get("/s/ITP-002").status_code == 404


def test_an_admin_and_a_monitor_record_nothing_and_an_admin_reads_nothing(door: Door) -> None:
    door.enrol()
    add("admin", "admin")
    add("mon", "monitor")
    admin, monitor = header("admin"), header("mon")
    assert door.get("/subjects", headers=admin).status_code == 403
    assert door.get("/subjects", headers=monitor).status_code == 200
    assert {door.post(contact(door), headers=each).status_code for each in (admin, monitor)} == {403}


def test_a_password_signs_in_and_five_wrong_ones_make_wait(door: Door) -> None:
    door.enrol()
    add("crc.li", "recorder")
    assert Person(visitor(door), "crc.li", PASSWORD).sign_in().status_code == 303
    wrong = Person(visitor(door), "crc.li", "a wrong password")
    assert {wrong.sign_in().status_code for _ in range(5)} == {422}
    right = Person(visitor(door), "crc.li", PASSWORD).sign_in()
    assert right.status_code == 422
    assert "Too many attempts failed" in said(right)


def test_a_decision_on_the_pages_is_signed_with_the_password(door: Door) -> None:
    door.enrol()
    add("inv.wu", "investigator")
    who = Person(visitor(door), "inv.wu", PASSWORD)
    who.sign_in()
    form = {"decision": "withdraw", "on": f"{door.now.date()}", "reason": "her wish"}
    assert who.send("/s/ITP-001/decide", **form, token="a wrong password").status_code == 401
    who.answered(who.send("/s/ITP-001/decide", **form, token=PASSWORD))
    [signature] = signatures_of(door.study.store, "ITP-001", history(door.study.store, "ITP-001"))
    assert (signature.account, signature.name, signature.broken) == ("inv.wu", "Somebody", None)
    page = who.open("/s/ITP-001")
    assert "Signed by Somebody (inv.wu)" in page
    assert "does not hold" not in page


def test_an_assessment_on_the_pages_and_its_correction_are_signed_with_the_password(door: Door) -> None:
    door.enrol()
    door.post(done("INF1", door.now, cells_given=1.0, weight_kg=61))
    add("inv.wu", "investigator")
    who = Person(visitor(door), "inv.wu", PASSWORD)
    who.sign_in()
    found = json.loads(itp("deviations", "--json"))
    form = {"deviation": found[0]["id"], "important": "yes", "cause": "a wrong bag"}
    assert 'type="password"' in who.open("/s/ITP-001/assess")
    assert "data-queue" not in who.open("/s/ITP-001/assess")
    assert who.again("/s/ITP-001/assess", **form).status_code == 401
    wrong = who.again("/s/ITP-001/assess", **form, token="a wrong password")
    assert wrong.status_code == 401
    assert "a wrong bag" in wrong.text
    assert "a wrong password" not in wrong.text
    who.answered(who.again("/s/ITP-001/assess", **form, token=PASSWORD))
    path = f"/s/ITP-001/correct/{_assessed(door)}"
    again = form | {"important": "no", "why": "it was the right bag"}
    assert who.send(path, **again).status_code == 401
    who.answered(who.send(path, **again, token=PASSWORD))
    signed = signatures_of(door.study.store, "ITP-001", history(door.study.store, "ITP-001"))
    assert [each.broken is None for each in signed] == [False, True, True]
    assert "take back" in signed[1].meaning + signed[2].meaning
    assert "This signature does not hold: the event was " in who.open("/s/ITP-001")


def _assessed(door: Door) -> int:
    """The number of the assessment in the log."""
    lines = log_lines(door.study.store, "ITP-001")
    return next(line.seq for line in lines if line.event.type == "itp.deviation.assessed")


def test_a_second_factor_is_asked_for_once_it_is_set_up(door: Door) -> None:
    add("crc.li", "recorder")
    shown = json.loads(itp("account", "change", "crc.li", "--totp", "set-up", "--json"))
    assert shown["otpauth"].startswith("otpauth://totp/")
    assert Person(visitor(door), "crc.li", PASSWORD).sign_in().status_code == 422


def test_a_token_of_a_role_makes_an_account_named_after_its_note(door: Door) -> None:
    door.enrol()
    edc = header("recorder", "--note", "Castor of site 01")
    assert door.post(contact(door, by="crc.wu"), headers=edc).status_code == 201
    [account] = json.loads(itp("account", "list", "--json"))
    assert (account["code"], account["role"], account["speaks_for_others"]) == (
        "Castor-of-site-01",
        "recorder",
        True,
    )


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("account", "add", "os:root", "--name", "x", "--role", "reader", "--no-password"), "code"),
        (("account", "change", "nobody", "--role", "reader"), "ACCOUNT"),
        (("token", "new", "nobody"), "ACCOUNT"),
        (("token", "revoke", "123456"), "TOKEN"),
    ],
)
def test_a_wrong_word_is_named_in_one_line(door: Door, words: tuple[str, ...], named: str) -> None:
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 2
    assert named in done.stderr
    assert "\n" not in done.stderr.strip()
