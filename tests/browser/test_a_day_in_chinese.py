"""The people's day on phones, in Chinese, with `itp up` and real notices, in a real browser."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from tests.browser.day import CODE, Day, begun, chinese_protocol, phones_config
from tests.browser.phone import Phone
from tests.browser.test_pages_on_a_phone import looked_at
from tests.deployments.conftest import MONDAY
from tests.support.receiver import Receiver
from tests.support.service import Service
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("PAG-01")


@pytest.fixture
def day(tmp_path: Path, receiver: Receiver) -> Iterator[Day]:
    (tmp_path / "apprise.yml").write_text(phones_config(receiver), encoding="utf-8")
    protocol = chinese_protocol(tmp_path / "protocol.yaml")
    clock = {"ITP_CLOCK_SPEED": 1, "ITP_CLOCK_START": MONDAY.isoformat()}
    service = Service(tmp_path / "data", receiver, {**clock, "ITP_PROTOCOL": protocol})
    try:
        # People do not wait for Prefect, which starts meanwhile.
        service.start(ready=False)
        wait_until(lambda: _answers(service), "the pages to answer")
        with begun(service, _look) as day:
            yield day
    finally:
        service.close()


def _answers(service: Service) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{service.api_port}/livez", trust_env=False).is_success
    except httpx.TransportError:
        return False


def _look(held: Phone, _: str) -> None:
    looked_at(held)


def test_a_day_from_the_enrolment_to_a_signed_decision(day: Day) -> None:
    day.enrol()
    day.book()
    day.do()
    day.report()
    day.correct()
    completed = day.stated("visit.completed")
    assert [each.to_json()["data"]["on"] for each in completed] == [
        f"{day.today}",
        f"{day.today - timedelta(days=1)}",
    ]
    day.leave()
    day.decide()
    assert day.stated("withdrawal.decided")[-1].data.by == "inv.wu"
    before = len(day.told("crc.li"))
    day.at(day.today + timedelta(days=5))
    held = day.tap_notice("crc.wang", "INF2")
    assert CODE in held.text
    assert len(day.told("crc.li")) == before
