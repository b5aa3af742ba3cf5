"""A site's digest is made ready ahead of its time, and leaves whatever became of that."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from deployments.bootstrap.clock import Clock
from deployments.service.cards_ahead import CardsAhead
from deployments.service.digests import Digests
from deployments.service.direct_way import DirectWay
from deployments.service.prefect_link import PrefectLink
from deployments.service.runner import Runner
from deployments.service.sharing import Sharing
from flows.study.runtime import Runtime
from tasks.board import reading
from tests.support.study import Study
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("DIG-01")

# Tuesday 3 February 2026 at the site (Asia/Shanghai); 08:30 there is 00:30 UTC.
HALF_PAST_EIGHT = datetime(2026, 2, 3, 0, 30, tzinfo=UTC)


class Standing(Clock):
    """A clock that shows one instant."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def desk(sqlite_url: str) -> Iterator[Desk]:
    """A subject whose third infusion is overdue, and whose card nobody has made."""
    desk, study = Desk.open(sqlite_url), Study()
    desk.take(study.enrol("2026-01-05"), study.done("INF1", "2026-01-05"), study.done("INF2", "2026-01-12"))
    desk.wake("ITP-001", HALF_PAST_EIGHT - timedelta(hours=1))
    yield desk
    desk.store.close()


def look(desk: Desk, at: datetime) -> list[str]:
    """Let the step look at an instant while Prefect is silent; the digests in the outbox then."""
    study = Runtime(desk.store, desk.protocol, desk.channels, Standing(at), "http://127.0.0.1:9/api")
    link = PrefectLink(study)
    cards = CardsAhead(study, DirectWay(), lambda: True)
    asyncio.run(Digests(study, link, Runner(link.runs), Sharing.of(study), cards).send_due())
    link.runs.close()
    return [each.key for each in desk.notices(None)]


def test_the_cards_are_made_within_ten_minutes_before_the_digest(desk: Desk) -> None:
    for minutes, behind in ((11, ["ITP-001"]), (9, [])):
        early = HALF_PAST_EIGHT - timedelta(minutes=minutes)
        assert look(desk, early) == []
        assert reading.behind(desk.store, early) == behind
    assert len(look(desk, HALF_PAST_EIGHT)) == 2


def test_a_fault_while_they_are_made_keeps_no_digest(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> list[str]:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(reading, "behind", fail)
        assert len(look(desk, HALF_PAST_EIGHT)) == 2
    assert "could not be made ahead" in caplog.text
