"""What was stated without a signature is signed on the pages later, as by `itp sign event`."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from tasks.accounts.account import Role
from tasks.database.queries import history, log_lines
from tasks.database.triggers import lifted
from tasks.signatures.signing import Signature, signatures_of
from tests.support.api import Door, event, served
from tests.support.pages import Person, said
from tests.support.people import with_password

pytestmark = pytest.mark.requirement("WHO-10")

PASSWORD = "a sentence for signing"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """A subject whose withdrawal somebody without a signature decided."""
    with served(tmp_path / "data") as door:
        door.enrol("ITP-001", 3)
        data = {"by": "inv.wu", "decision": "withdraw", "on": f"{door.now.date()}", "reason": "her wish"}
        decision = event("withdrawal.decided", "ITP-001", door.now, data)
        assert door.post(decision, headers=door.token("investigator")).status_code == 201
        yield door


def somebody(door: Door, role: Role = "investigator", language: str = "en") -> Person:
    """A person of a role, signed in by a password."""
    who = with_password(door, f"{role[:3]}.wu", role, PASSWORD)
    who.client.post("/language", data={"language": language, "to": "/today"})
    return who


def page_of(door: Door) -> str:
    """The page that signs the decision."""
    lines = log_lines(door.study.store, "ITP-001")
    seq = next(line.seq for line in lines if line.event.type == "itp.withdrawal.decided")
    return f"/s/ITP-001/sign/{seq}"


def signatures(door: Door) -> list[Signature]:
    return signatures_of(door.study.store, "ITP-001", history(door.study.store, "ITP-001"))


@pytest.mark.parametrize("page", ["/s/ITP-001", "/s/ITP-001/decide"])
def test_an_investigator_finds_the_unsigned_decision_and_signs_it_with_the_password(
    door: Door, page: str
) -> None:
    who, sign = somebody(door), page_of(door)
    assert f'href="{sign}"' in who.open(page)
    shown = who.open(sign)
    assert "the subject leaves the study" in shown
    wrong = who.again(sign, token="guessed")
    assert (wrong.status_code, "this password is wrong" in said(wrong)) == (401, True)
    assert signatures(door) == []
    answered = who.answered(who.again(sign, token=PASSWORD))
    assert "Signed by Name of inv.wu (inv.wu)" in answered
    assert f'href="{sign}"' not in answered
    [signature] = signatures(door)
    assert (signature.account, signature.broken) == ("inv.wu", None)
    again = who.send(sign, token=PASSWORD)
    assert (again.status_code, "has signed" in said(again)) == (409, True)


def test_others_sign_no_decision_and_nobody_signs_without_an_account(door: Door) -> None:
    recorder, sign = somebody(door, "recorder"), page_of(door)
    assert f'href="{sign}"' not in recorder.open("/s/ITP-001")
    refused = recorder.send(sign, token=PASSWORD)
    assert (refused.status_code, "only an investigator" in said(refused)) == (403, True)
    assert signatures(door) == []
    assert recorder.client.get("/s/ITP-001/sign/999").status_code == httpx.codes.NOT_FOUND
    assert recorder.client.post(sign, data={"token": PASSWORD}).status_code == httpx.codes.FORBIDDEN


@pytest.mark.parametrize(
    ("language", "broken"),
    [
        ("en", "This signature does not hold: the event was changed after it was signed."),
        ("zh-CN", "此签名已失效：签署之后记录被改动。"),
    ],
)
def test_a_signature_on_what_changed_since_is_shown_as_broken(door: Door, language: str, broken: str) -> None:
    who, sign = somebody(door, language=language), page_of(door)
    who.answered(who.send(sign, token=PASSWORD))
    with door.study.store.writing() as connection, lifted(connection, "events"):
        connection.execute(
            sa.text("UPDATE events SET body = replace(body, 'her wish', 'his wish') WHERE body LIKE '%wish%'")
        )
    for page in ("/s/ITP-001", "/s/ITP-001/decide", sign):
        assert broken in who.open(page)
    # The event is not what was signed: its author voids it, and another investigator may sign what stands.
    assert f'href="{sign}"' not in who.open("/s/ITP-001")
