"""The people's day on a phone, in Chinese, in a real browser; the network is cut in between."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from itp_events.events import Event
from tasks.database.queries import history
from tasks.delivery.links import Matter
from tests.browser.phone import Phone, phone
from tests.deployments.api.web.test_forms import eligible
from tests.support.api import Door, apprise_config, served
from tests.support.proxy import Proxy
from tests.support.receiver import Receiver
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("PAG-01")

CODE = "ITP-101"


@pytest.fixture
def door(tmp_path: Path, receiver: Receiver) -> Iterator[Door]:
    config = apprise_config(tmp_path / "apprise.conf", receiver.apprise_url())
    with served(tmp_path / "data", apprise_config=config) as door:
        yield door


def facts(door: Door, code: str = CODE) -> list[Event]:
    return [each for each in history(door.study.store, code) if not each.own]


def token(door: Door, role: str) -> str:
    return door.token(role)["Authorization"].removeprefix("Bearer ")  # type: ignore[arg-type]


def looked_at(held: Phone) -> None:
    """The page fits the phone, and axe-core finds nothing in either theme."""
    assert held.overflow() <= 0, held.driver.current_url
    for theme in ("light", "dark"):
        held.theme(theme)
        assert held.violations() == [], (held.driver.current_url, theme)


def test_a_coordinators_day_and_an_investigators_decision(door: Door) -> None:
    today, yesterday = door.now.date(), (door.now - timedelta(days=1)).date()
    with phone(str(door.client.base_url)) as held:
        held.sign_in("crc.li", token(door, "recorder"))
        looked_at(held)
        held.open("/enrol")
        looked_at(held)
        held.write(**eligible(CODE, f"{yesterday}"))
        held.send("/enrol")
        assert "已记录" in held.text
        looked_at(held)

        notice = door.api.links.open(Matter(CODE, "INF1", "T"), door.now + timedelta(days=1))
        held.open(notice.removeprefix(door.api.links.base))
        looked_at(held)
        held.tap(f'a[href^="/s/{CODE}/book"]')
        looked_at(held)
        held.send(f"/s/{CODE}/book")
        assert "已预约" in held.text

        held.open(f"/s/{CODE}/done?visit=INF1")
        held.write(on=f"{today}", weight_kg="abc")
        held.send(f"/s/{CODE}/done")
        assert "须为数字" in held.text
        looked_at(held)
        held.write(weight_kg="61.5", cells_given="6.2e9", platelets="18", bleeding="1")
        held.send(f"/s/{CODE}/done")
        assert "已完成" in held.text

        held.open(f"/s/{CODE}/adverse-event")
        held.write(term="过敏反应", on=f"{today}", grade="3", serious="yes", related="yes")
        held.send(f"/s/{CODE}/adverse-event")
        held.open("/today")
        assert "严重不良事件 AE-1" in held.text
        looked_at(held)
        held.open(f"/s/{CODE}/submission?ae=AE-1")
        held.send(f"/s/{CODE}/submission")

        held.open(f"/s/{CODE}")
        looked_at(held)
        done = next(each for each in facts(door) if each.type == "itp.visit.completed")
        seq = [each.key for each in history(door.study.store, CODE)].index(done.key) + 1
        held.tap(f'a[href="/s/{CODE}/correct/{seq}"]')
        held.write(on=f"{yesterday}", why="日期录错")
        looked_at(held)
        held.send(f"/s/{CODE}/correct/{seq}")
        assert facts(door)[-1].to_json()["data"]["on"] == f"{yesterday}"

        signature = token(door, "investigator")
        held.open("/today")
        held.tap('form[action="/sign-out"] button')
        held.sign_in("inv.wu", signature)
        held.open(f"/s/{CODE}/decide")
        assert "过敏反应" in held.text
        looked_at(held)
        held.write(decision="continue", reason="已恢复，继续治疗", on=f"{today}", token=signature)
        held.send(f"/s/{CODE}/decide")
        assert facts(door)[-1].to_json()["data"]["decision"] == "continue"
        assert facts(door)[-1].data.by == "inv.wu"


def test_what_is_entered_without_network_is_sent_once(door: Door) -> None:
    door.enrol(CODE)
    day = f"{(door.now - timedelta(days=1)).date()}"
    port = int(str(door.client.base_url).rstrip("/").rpartition(":")[2])
    with Proxy(port) as network, phone(f"http://127.0.0.1:{network.port}") as held:
        held.sign_in("crc.li", token(door, "recorder"))
        wait_until(lambda: _is_kept(held, f"/s/{CODE}/done?visit=INF1"), "the forms of the day to be kept")
        network.cut()
        held.open("/today")
        assert "INF1" in held.text
        held.open(f"/s/{CODE}/done?visit=INF1")
        for _ in range(2):
            held.write(on=day, platelets="41")
            held.tap(f'form[action="/s/{CODE}/done"] > button')
            wait_until(lambda: "联网后发送一次" in held.text, "the page to say that it is kept")
        # A second statement about the same visit, which the study will refuse.
        held.write(platelets="42")
        held.tap(f'form[action="/s/{CODE}/done"] > button')
        wait_until(lambda: "等待发送: 2" in held.text, "both to wait")
        network.mend()
        held.open("/today")
        wait_until(lambda: "已录入完成于" in held.text, "the refusal to be shown")
        assert [each.type for each in facts(door)] == ["itp.subject.enrolled", "itp.visit.completed"]
        held.open("/today")
        wait_until(lambda: "已录入完成于" in held.text, "the refusal to stay until it is read")
        held.tap("#queue button")
        wait_until(lambda: "已录入完成于" not in held.text, "the refusal to go once it is read")


def _is_kept(held: Phone, path: str) -> bool:
    script = "const done = arguments[1]; caches.match(arguments[0]).then(found => done(Boolean(found)))"
    return bool(held.driver.execute_async_script(script, path))
