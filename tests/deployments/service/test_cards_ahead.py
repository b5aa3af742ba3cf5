"""Cards for digests are made some at a time, behind the subjects that are due."""

import asyncio
from collections.abc import Iterator

import pytest

from deployments.bootstrap.clock import Clock
from deployments.service import cards_ahead
from deployments.service.cards_ahead import CardsAhead
from deployments.service.direct_way import DirectWay
from flows.study.runtime import Runtime
from tasks.board import reading
from tests.support.damage import damage_log
from tests.support.study import Study
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("DIG-01")


@pytest.fixture
def desk(sqlite_url: str) -> Iterator[Desk]:
    """Two sites with two subjects each, and nobody's card."""
    desk = Desk.open(sqlite_url)
    for number, site in enumerate(("01", "01", "02", "02")):
        study = Study(site, code=f"ITP-00{number}")
        study.last_id = 100 * number
        desk.take(study.enrol("2026-01-05"))
    yield desk
    desk.store.close()


def made(desk: Desk) -> list[str]:
    """The subjects whose card is kept and not behind."""
    return sorted(reading.all_cards(desk.store).keys() - set(reading.behind(desk.store, Clock().now())))


def ahead(desk: Desk, way: DirectWay, *, goes_on: bool = True) -> CardsAhead:
    study = Runtime(desk.store, desk.protocol, desk.channels, Clock(), "http://127.0.0.1:9/api")
    return CardsAhead(study, way, lambda: goes_on)


def test_the_cards_of_one_site_are_made_or_everybody_s(desk: Desk) -> None:
    cards = ahead(desk, DirectWay())
    asyncio.run(cards.make("01"))
    assert made(desk) == ["ITP-000", "ITP-001"]
    asyncio.run(cards.make())
    assert made(desk) == ["ITP-000", "ITP-001", "ITP-002", "ITP-003"]


def test_cards_wait_for_the_subjects_that_are_due(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards_ahead, "AT_ONCE", 1)
    seen: list[list[str]] = []

    async def go() -> None:
        way = DirectWay()
        async with way.place():
            making = asyncio.create_task(ahead(desk, way).make())
            await asyncio.wait({making}, timeout=0.3)
            seen.append(made(desk))
        await making
        seen.append(made(desk))

    asyncio.run(go())
    assert seen == [[], ["ITP-000", "ITP-001", "ITP-002", "ITP-003"]]


def test_a_digest_does_not_wait_for_them_for_ever(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards_ahead, "PATIENCE_SECONDS", 0.1)

    async def go() -> None:
        way = DirectWay()
        async with way.place():
            await ahead(desk, way).make()

    asyncio.run(go())
    assert len(made(desk)) == 4


def test_a_fault_while_they_are_made_is_logged_and_keeps_no_message(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> list[str]:
        raise ZeroDivisionError

    monkeypatch.setattr(reading, "behind", fail)
    asyncio.run(ahead(desk, DirectWay()).make("01"))
    assert "The cards of site 01 could not be made ahead." in caplog.text


def test_no_card_is_made_once_the_service_stops_or_another_one_leads(desk: Desk) -> None:
    asyncio.run(ahead(desk, DirectWay(), goes_on=False).make())
    assert made(desk) == []


def test_a_subject_that_cannot_be_read_keeps_no_other_s_card(desk: Desk) -> None:
    damage_log(desk.store, "ITP-001", 1, "{}")
    asyncio.run(ahead(desk, DirectWay()).make())
    assert made(desk) == ["ITP-000", "ITP-002", "ITP-003"]
