"""A phone, in Chinese, when the network is cut, two press at once, a link is old, or a subject left."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from itp_events.events import Event
from tasks.database.queries import history
from tasks.delivery.links import Appointment, Matter
from tests.browser.phone import Phone, phone
from tests.browser.test_pages_on_a_phone import looked_at
from tests.support.api import Door, done, event, served
from tests.support.participants import reminding_file
from tests.support.people import with_tokens
from tests.support.proxy import Proxy
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("PAG-01")

CODE, LEFT = "ITP-101", "ITP-102"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with served(tmp_path / "data", protocol=reminding_file(tmp_path / "mine.yaml")) as door:
        yesterday = door.now - timedelta(days=1)
        on = f"{yesterday.date()}"
        for code in (CODE, LEFT):
            door.enrol(code)
            door.post(event("contact.agreed", code, yesterday, {"agreed": True, "on": on}))
        about = {"ae": "AE-1", "term": "过敏反应", "grade": 3, "serious": True, "related": True, "on": on}
        door.post(event("adverse-event.reported", CODE, yesterday, about))
        yield door


def facts(door: Door, code: str = CODE) -> list[Event]:
    return [each for each in history(door.study.store, code) if not each.own]


def stated(door: Door, kind: str, code: str = CODE) -> list[Event]:
    return [each for each in facts(door, code) if each.type == f"itp.{kind}"]


def offline(held: Phone, network: Proxy, *, cut: bool) -> None:
    """Cut or mend the network; the phone knows of it."""
    (network.cut if cut else network.mend)()
    conditions = {"offline": cut, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    held.driver.execute_cdp_cmd("Network.enable", {})
    held.driver.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)
    knows = "return navigator.onLine"
    wait_until(lambda: held.driver.execute_script(knows) is not cut, "the phone to know of its network")


def says(held: Phone, words: str) -> bool:
    """Whether the page has these words."""
    return words in held.text


def press(held: Phone, action: str) -> None:
    """Press the button of a form, without waiting for another page."""
    held.tap(f'form[action="{action}"] > button:not([type="button"])')


def test_a_correction_waits_for_the_network_and_a_signature_asks_for_it(door: Door) -> None:
    people = with_tokens(door, [("inv.wu", "investigator")])
    secret = people["inv.wu"].token
    port = int(str(door.client.base_url).rstrip("/").rpartition(":")[2])
    with Proxy(port) as network, phone(f"http://127.0.0.1:{network.port}") as held:
        held.sign_in("inv.wu", secret)
        decide, day = f"/s/{CODE}/decide", f"{(door.now - timedelta(days=2)).date()}"
        held.open(decide)
        held.write(decision="continue", reason="已恢复", token=secret)
        offline(held, network, cut=True)
        press(held, decide)
        wait_until(lambda: "此操作须联网" in held.text, "the page to say that a signature needs the network")
        looked_at(held)
        assert stated(door, "withdrawal.decided") == []
        offline(held, network, cut=False)
        held.send(decide)
        assert len(stated(door, "withdrawal.decided")) == 1

        seq = [each.key for each in history(door.study.store, CODE)].index(facts(door)[2].key) + 1
        correct = f"/s/{CODE}/correct/{seq}"
        held.open(correct)
        held.write(on=day, why="日期录错")
        offline(held, network, cut=True)
        for _ in range(2):
            press(held, correct)
            wait_until(lambda: "等待发送: 1" in held.text, "the correction to wait")
        looked_at(held)
        offline(held, network, cut=False)
        held.open("/today")
        wait_until(lambda: "等待发送" not in held.text, "the correction to be sent")
        assert len(stated(door, "event.voided")) == 1
        assert [each.to_json()["data"]["on"] for each in stated(door, "adverse-event.reported")][-1] == day


def test_of_two_phones_that_press_at_the_same_moment_one_reads_who_was_first(door: Door) -> None:
    people = with_tokens(door, [("crc.li", "recorder"), ("crc.wang", "recorder")])
    with ExitStack() as opened:
        phones = [opened.enter_context(phone(str(door.client.base_url))) for _ in people]
        for held, (code, person) in zip(phones, people.items(), strict=True):
            held.sign_in(code, person.token)
        for form, entered in (("book", {}), ("done", {"platelets": "41"})):
            path = f"/s/{LEFT}/{form}"
            for held in phones:
                held.open(f"{path}?visit=INF1")
                held.write(**entered)
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda held, path=path: held.send(path), phones))
            assert sum("已记录" in held.text for held in phones) == 1
            (second,) = [held for held in phones if "未能记录" in held.text]
            assert "刚刚已录入相同内容，只计一次" in second.text
            looked_at(second)
        assert len(stated(door, "visit.booked", LEFT)) == len(stated(door, "visit.completed", LEFT)) == 1


def test_an_old_link_and_a_subject_that_left_meanwhile_are_answered_in_a_sentence(door: Door) -> None:
    token = with_tokens(door, [("crc.li", "recorder")])["crc.li"].token
    links = door.api.links
    with phone(str(door.client.base_url)) as held:
        held.sign_in("crc.li", token)
        old = links.open(Matter(CODE, "INF1", "T"), door.now - timedelta(minutes=1))
        held.open(old.removeprefix(links.base))
        assert "此链接已过期" in held.text
        looked_at(held)
        held.open(f"/s/{LEFT}/done?visit=INF1")
        died = {"on": f"{(door.now - timedelta(days=1)).date()}"}
        authorized = {"Authorization": f"Bearer {token}"}
        stated_by = event("subject.died", LEFT, door.now, died | {"by": "crc.li"})
        assert door.post(stated_by, headers=authorized).is_success
        held.send(f"/s/{LEFT}/done")
        assert "结束研究" in held.text
        assert stated(door, "visit.completed", LEFT) == []
        looked_at(held)
        new = links.open(Matter(LEFT, "INF1", "T"), door.now + timedelta(days=1))
        held.open(new.removeprefix(links.base))
        assert "已退出研究" in held.text
        assert not held.driver.find_elements("css selector", f'a[href^="/s/{LEFT}/done"]')
        looked_at(held)


@pytest.mark.requirement("SUB-03")
def test_a_participants_page_in_chinese_on_a_phone(door: Door) -> None:
    at = door.now
    day = door.study.protocol.site("01").date_of(at) + timedelta(days=4)
    booked = event("visit.booked", CODE, at, {"visit": "INF2", "on": f"{day}"})
    assert door.post([done("INF1", at, CODE), booked]).status_code == 201
    link = door.api.links.answer(Appointment(CODE, "INF2", day, "zh-CN"))
    path = link.removeprefix(door.api.links.base)
    with phone(str(door.client.base_url)) as held:
        for answer, said in (("coming", "谢谢"), ("not-coming", "另约日期"), ("stop", "不再向您发送提醒")):
            held.open(path)
            looked_at(held)
            held.tap(f'button[value="{answer}"]')
            wait_until(partial(says, held, said), f"the answer to {answer}")
            looked_at(held)
            assert CODE not in held.driver.page_source
        held.open(path)
        assert "此提醒已失效" in held.text
        looked_at(held)
        held.open(f"{path[:-3]}abc")
        looked_at(held)
