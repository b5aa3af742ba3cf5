"""The pages behind the links in notices: opening one changes nothing, one press records."""

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from deployments.api.http.examples import ENROLLED
from itp_events.events import Acknowledged
from tasks.database.queries import history
from tasks.database.schema import events
from tasks.delivery.links import Call
from tests.support.api import Door, apprise_config, done, event, served
from tests.support.pages import Person, person, said
from tests.support.people import with_tokens
from tests.support.receiver import Receiver
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("SEC-03")

CALL = Call("ITP-007/rung-1", "ITP-007", "INF1", "coordinator")


@pytest.fixture
def overdue(tmp_path: Path, receiver: Receiver) -> Iterator[Door]:
    """ITP-007, whose first infusion is overdue since yesterday: its coordinator has been told."""
    config = apprise_config(tmp_path / "apprise.conf", receiver.apprise_url())
    with served(tmp_path / "data", apprise_config=config) as door:
        on = (door.now - timedelta(days=10)).date()
        data = {**ENROLLED["data"], "on": f"{on}", "consent_on": f"{on}", "first_infusion_on": None}
        at = door.now - timedelta(days=9)
        answer = door.post(event("subject.enrolled", "ITP-007", at, data))
        assert answer.status_code == 201, answer.text
        yield door


def link_of(receiver: Receiver, audience: str, page: str) -> str:
    """The link to a page in a message to an audience, which may get others before it."""

    def links() -> list[str]:
        messages = "\n".join(each.body["message"] for each in receiver.at(audience))
        return re.findall(rf"http://[^ ]+(/{page}/[^\s]+)", messages)

    return wait_until(links, f"a link to {page} for {audience}")[-1]


def acknowledged(door: Door) -> list[str]:
    stated = history(door.study.store, "ITP-007")
    return [f"{each.data.until}" for each in stated if each.type == "itp.escalation.acknowledged"]  # type: ignore[attr-defined]


def path(door: Door, call: Call = CALL, expires: datetime | None = None) -> str:
    return "/acknowledge/" + door.api.links.sign(call, expires or door.now + timedelta(days=1))


def test_opening_the_link_acknowledges_nothing(overdue: Door) -> None:
    page = overdue.get(path(overdue))
    assert page.status_code == 200
    assert "INF1" in page.text
    assert "ITP-007" in page.text
    assert overdue.client.head(path(overdue)).status_code == 200
    assert acknowledged(overdue) == []


def test_one_press_acknowledges_until_the_date_shown(overdue: Door) -> None:
    shown = re.search(r'name="until" type="date" value="([-\d]+)"', overdue.get(path(overdue)).text)
    assert shown
    answer = overdue.client.post(path(overdue), data={"until": shown[1], "by": "crc-01"})
    assert (answer.status_code, acknowledged(overdue)) == (200, [shown[1]])
    assert "crc-01" in answer.text


def test_pressing_again_changes_nothing(overdue: Door) -> None:
    for _ in range(2):
        answer = overdue.client.post(path(overdue))
        assert answer.status_code == 200
    assert "already" in answer.text
    assert len(acknowledged(overdue)) == 1


def test_who_presses_later_is_told_who_looks_after_it(overdue: Door) -> None:
    overdue.client.post(path(overdue), data={"by": "crc-01"})
    page = overdue.client.post(path(overdue), data={"by": "crc-02"})
    assert "crc-01" in page.text
    assert "crc-01" in overdue.get(path(overdue)).text


RUNG_2 = Call("ITP-007/rung-2", "ITP-007", "INF1", "investigator")


def test_a_link_is_good_for_one_acknowledgement(overdue: Door) -> None:
    for days in (1, 2, 3):
        until = f"{overdue.now + timedelta(days=days):%Y-%m-%d}"
        assert overdue.client.post(path(overdue), data={"until": until, "by": "crc-01"}).status_code == 200
    assert len(acknowledged(overdue)) == 1


def test_who_opens_another_link_sees_that_somebody_has_it(overdue: Door) -> None:
    overdue.client.post(path(overdue), data={"by": "crc-01"})
    for page in (overdue.get(path(overdue, RUNG_2)), overdue.client.post(path(overdue, RUNG_2))):
        assert page.status_code == 200
        assert "by crc-01" in page.text
        assert 'name="until"' not in page.text
    assert len(acknowledged(overdue)) == 1


def test_of_two_who_press_at_once_one_counts_and_both_are_told_who(overdue: Door) -> None:
    start = threading.Barrier(4)

    def press(number: int) -> httpx.Response:
        start.wait()
        call = CALL if number % 2 else RUNG_2
        return overdue.client.post(path(overdue, call), data={"by": f"crc-{number}"})

    with ThreadPoolExecutor(4) as pool:
        pages = list(pool.map(press, range(4)))
    assert [page.status_code for page in pages] == [200] * 4
    assert len({found for page in pages for found in re.findall(r"by (crc-\d)", page.text)}) == 1
    assert len(acknowledged(overdue)) == 1


def test_an_acknowledgement_that_was_voided_leaves_the_link_good(overdue: Door) -> None:
    overdue.client.post(path(overdue), data={"by": "crc-01"})
    [given] = [
        each for each in history(overdue.study.store, "ITP-007") if isinstance(each.data, Acknowledged)
    ]
    data = {"event": {"source": given.source, "id": given.id}, "reason": "pressed by mistake"}
    assert overdue.post(event("event.voided", "ITP-007", overdue.now, data)).status_code == 201
    assert 'name="until"' in overdue.get(path(overdue)).text
    assert "by crc-02" in overdue.client.post(path(overdue), data={"by": "crc-02"}).text


def test_nobody_can_take_the_id_of_an_acknowledgement_beforehand(overdue: Door) -> None:
    contact = {"on": f"{overdue.now:%Y-%m-%d}", "reached": True}
    until = f"{overdue.now + timedelta(days=1):%Y-%m-%d}"
    for number in (1, 2):
        for name in (f"{CALL.notice}/{until}", f"ITP-007/INF1/{number}", CALL.notice):
            squatter = event("contact.attempted", "ITP-007", overdue.now, contact)
            overdue.post(squatter | {"source": "acknowledge-link", "id": name})
    page = overdue.client.post(path(overdue), data={"by": "crc-01", "until": until})
    assert (page.status_code, acknowledged(overdue)) == (200, [until])


def test_a_link_says_when_there_is_nothing_left_to_acknowledge(overdue: Door) -> None:
    assert overdue.post(done("INF1", overdue.now, "ITP-007")).status_code == 201
    page = overdue.get(path(overdue))
    assert page.status_code == 200
    assert "INF1 is completed" in page.text
    assert 'name="until"' not in page.text


def test_pages_speak_the_language_of_the_site(tmp_path: Path) -> None:
    protocol = tmp_path / "protocol.yaml"
    text = (files("itp_events") / "protocol" / "nct06813157.yaml").read_text(encoding="utf-8")
    protocol.write_text(text.replace("language: en", "language: zh-CN"), encoding="utf-8")
    with served(tmp_path / "data", protocol=protocol) as door:
        door.enrol("ITP-007", days_ago=9)
        assert "时间窗已关闭" in door.get(path(door)).text
        assert "此链接已过期" in door.get(path(door, expires=door.now - timedelta(minutes=1))).text
        assert "此链接无效" in door.get("/acknowledge/x").text


def test_a_refusal_is_the_sentence_of_every_other_door(overdue: Door) -> None:
    data = {"visit": "INF1", "until": f"{overdue.now + timedelta(days=40):%Y-%m-%d}"}
    said = overdue.post(event("escalation.acknowledged", "ITP-007", overdue.now, data)).json()["detail"]
    page = overdue.client.post(path(overdue), data={"until": data["until"]})
    assert page.status_code == 409
    assert said in page.text
    assert acknowledged(overdue) == []


@pytest.mark.parametrize("visit", ["INF1", "INF2"])
def test_a_link_that_was_changed_is_no_link(overdue: Door, visit: str) -> None:
    body, _, signature = path(overdue).partition(".")
    other = path(overdue, Call("x", "ITP-007", visit, "coordinator")).partition(".")[0]
    assert overdue.client.post(f"{other}.{signature}").status_code == 403
    assert overdue.client.post(f"{body}.").status_code == 403
    assert overdue.get(f"{body}.é").status_code == 403
    assert acknowledged(overdue) == []


def test_a_link_expires(overdue: Door) -> None:
    late = path(overdue, expires=overdue.now - timedelta(minutes=1))
    assert overdue.get(late).status_code == 410
    assert overdue.client.post(late).status_code == 410
    assert acknowledged(overdue) == []


def test_pages_can_be_neither_framed_nor_cached(overdue: Door) -> None:
    headers = overdue.get(path(overdue)).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "same-origin"


def test_what_a_form_says_is_shown_as_text(overdue: Door) -> None:
    page = overdue.client.post(path(overdue), data={"by": "<script>alert(1)</script>"})
    assert page.status_code == 200
    assert "<script>" not in page.text


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_address_of_decisions_in_older_messages_leads_to_the_page(overdue: Door, method: str) -> None:
    answer = overdue.client.request(method, "/decide/ITP-007?criterion=rescue-medication")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/s/ITP-007/decide?criterion=rescue-medication"


def test_the_flags_alert_links_to_the_decision(overdue: Door, receiver: Receiver) -> None:
    data = {"drug": "romiplostim", "kind": "rescue", "on": f"{overdue.now:%Y-%m-%d}", "detail": "once"}
    assert overdue.post(event("medication.changed", "ITP-007", overdue.now, data)).status_code == 201
    link = link_of(receiver, "investigator", "s")
    assert link == "/s/ITP-007/decide?criterion=rescue-medication"
    page = person(overdue, "investigator").open(link)
    assert '<option value="rescue-medication" selected>' in page


def decided(who: Person, decision: str, **form: str) -> httpx.Response:
    given = {"decision": decision, "reason": "her wish", "token": who.token} | form
    return who.send("/s/ITP-007/decide", **given)


@pytest.mark.parametrize(
    "spoil", [lambda file: file.chmod(0o666), Path.unlink, lambda file: file.write_text("?")]
)
def test_tokens_that_cannot_be_read_let_nobody_decide_and_the_page_names_no_file(
    overdue: Door, spoil: Callable[[Path], object]
) -> None:
    who = person(overdue, "investigator")
    who.open("/s/ITP-007/decide")
    tokens = overdue.settings.data_dir / "tokens"
    spoil(tokens)
    form = {"decision": "withdraw", "reason": "her wish", "on": f"{overdue.now:%Y-%m-%d}"}
    answer = who.again("/s/ITP-007/decide", **form, token=who.token)
    assert answer.status_code in (303, 401, 500)
    assert answer.headers.get("location", "/sign-in").startswith("/sign-in")
    assert str(tokens) not in answer.text
    assert decisions(overdue) == 0


def decisions(door: Door) -> int:
    return sum(each.type == "itp.withdrawal.decided" for each in history(door.study.store, "ITP-007"))


def test_a_wrong_token_keeps_the_form_but_not_the_token(overdue: Door) -> None:
    who, on = person(overdue, "investigator"), f"{overdue.now:%Y-%m-%d}"
    answer = decided(who, "withdraw", on=on, token="guess")
    assert answer.status_code == 401
    assert "this token is not known" in answer.text
    assert ">her wish</textarea>" in answer.text
    assert "guess" not in answer.text
    assert decisions(overdue) == 0


def test_an_investigator_may_name_the_disposition(overdue: Door) -> None:
    who, on = person(overdue, "investigator"), f"{(overdue.now - timedelta(days=1)).date()}"
    assert decided(who, "withdraw", on=on, decode="PROTOCOL DEVIATION").status_code == 303
    plan = overdue.get("/subjects/ITP-007/plan", headers=overdue.token("reader")).json()
    assert plan["exit"]["decode"] == "PROTOCOL DEVIATION"


def test_a_link_acknowledges_in_the_name_of_who_is_signed_in(overdue: Door) -> None:
    [wang] = with_tokens(overdue, [("crc.wang", "recorder")]).values()
    page = wang.open(path(overdue))
    assert 'name="by"' not in page
    assert "by crc.wang" in said(wang.again(path(overdue), by="crc.other"))
    with overdue.study.store.reading() as connection:
        query = sa.select(events.c.actor).where(events.c.type == "itp.escalation.acknowledged")
        assert connection.scalars(query).all() == ["crc.wang"]


def test_a_rungs_message_links_to_its_own_page(overdue: Door, receiver: Receiver) -> None:
    link = link_of(receiver, "coordinator", "acknowledge")
    assert overdue.client.post(link).status_code == 200
    assert len(acknowledged(overdue)) == 1
