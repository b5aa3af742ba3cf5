"""The round without any Prefect: what one subject suffers, no other does."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED,
    temporary_settings,
)
from sqlalchemy.exc import OperationalError

from deployments.api import hand_overs
from deployments.api.background import Background
from deployments.bootstrap.clock import Clock
from deployments.service import heartbeat, sharing, wakes
from deployments.service import loop as turning
from deployments.service.loop import ServiceLoop
from flows.study.runtime import Runtime
from itp_events.events import parse_event
from itp_events.protocol.file import load_protocol
from tasks import backoff
from tasks.advance import record
from tasks.database.monitoring import ROUND, last_beat
from tasks.database.queries import attempts_of, stored_lines
from tasks.database.schema import notices
from tasks.database.store import Store
from tasks.database.troubles import Trouble, open_troubles
from tasks.delivery.channels import Channels
from tests.deployments.conftest import MONDAY
from tests.support.damage import damage_log
from tests.support.receiver import Receiver
from tests.support.service import SITE, enrolment
from tests.support.study import altered
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("RUN-01")

NOBODY = "http://127.0.0.1:9/api"


class MondayClock(Clock):
    """A clock that began at 10:00 of a Monday at the site."""

    def __init__(self) -> None:
        self._shift = MONDAY - super().now()

    def now(self) -> datetime:
        return super().now() + self._shift

    def wall(self, instant: datetime) -> datetime:
        return instant - self._shift

    def shows_at(self, world: datetime) -> datetime:
        return world + self._shift


@pytest.fixture
def alone(tmp_path: Path, sqlite_url: str, receiver: Receiver) -> Iterator[Runtime]:
    """A study whose coordinator is told by the receiver, and whose Prefect never answers."""
    config = tmp_path / "apprise.txt"
    config.write_text(f"coordinator={receiver.apprise_url('coordinator?rto=60')}\n", encoding="utf-8")
    study = Runtime(
        Store.open(sqlite_url), load_protocol(), Channels.from_config(config), MondayClock(), NOBODY
    )
    yield study
    study.store.close()


def enrol(study: Runtime, *codes: str) -> None:
    """Enrol them yesterday, as if no service had run since: each is due, with the reminder of today."""
    yesterday = study.clock.now() - timedelta(days=1)
    today = study.clock.now().astimezone(SITE).date()
    for code in codes:
        event = enrolment(code, yesterday, today - timedelta(days=1), first_infusion_on=str(today))
        [answer] = record(study.store, study.protocol, [parse_event(event)], yesterday)
        assert answer.status == "recorded", answer.error


def while_going(study: Runtime, look: Callable[[], None]) -> None:
    """Look at a round at work, and stop it."""

    async def scenario() -> None:
        at_work = ServiceLoop(study, repair_seconds=180)
        going = asyncio.create_task(at_work.go())
        try:
            await asyncio.to_thread(look)
            assert not going.done(), "the round has ended by itself"
        finally:
            at_work.stop()
            drained = await going
        assert drained, "not everything came to its end"

    with temporary_settings({PREFECT_API_URL: NOBODY, PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED: False}):
        asyncio.run(scenario())


def told(receiver: Receiver) -> set[str]:
    """The subjects about whom something arrived."""
    return {request.body["title"][:7] for request in list(receiver.requests)}


def test_a_provider_that_hangs_delays_nobody_else_s_notices(alone: Runtime, receiver: Receiver) -> None:
    codes = {f"ITP-{number:03}" for number in range(1, 31)}
    enrol(alone, *codes)
    receiver.hang()

    def look() -> None:
        # Each send takes half a minute, and no more than a few subjects are advanced at a time.
        wait_until(lambda: told(receiver) >= codes, "a notice about everybody")
        receiver.succeed()

    while_going(alone, look)


def test_a_subject_who_cannot_be_decided_about_stops_neither_the_others_nor_the_service(
    alone: Runtime, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    newer = replace(alone, protocol=altered(lambda data: data.update(version="9")))
    enrol(newer, "ITP-001")
    newer.advance("ITP-001", newer.clock.now())
    enrol(alone, "ITP-002")

    def look() -> None:
        wait_until(lambda: "The notices of ITP-001 could not" in caplog.text, "the failure to be logged")
        wait_until(lambda: "ITP-002" in told(receiver), "the notice about the other subject")

    while_going(alone, look)
    assert "version '9' is not installed" in caplog.text
    assert "ITP-001" not in told(receiver)


def test_those_who_cannot_be_woken_leave_room_for_those_due_after_them(
    alone: Runtime, receiver: Receiver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakes, "AT_ONCE", 1)
    enrol(replace(alone, protocol=altered(lambda data: data.update(version="9"))), "ITP-001")
    enrol(alone, "ITP-002")
    with alone.store.writing() as connection:
        # Nothing waits that the sweep would begin: the subjects are due, and that is all.
        connection.execute(notices.update().values(status="delivered"))

    def look() -> None:
        wait_until(lambda: "ITP-001 cannot be read" in caplog.text, "the failure to be logged")
        wait_until(lambda: "ITP-002" in told(receiver), "the notice about the other subject")

    while_going(alone, look)


def test_a_round_that_cannot_wake_anybody_gives_no_sign_of_life(
    alone: Runtime, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turning, "HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr(turning, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(heartbeat, "STANDING_STILL_SECONDS", 1.0)

    def silent(*_: object) -> object:
        raise OperationalError("SELECT 1", {}, OSError("gone"))

    def look() -> None:
        wait_until(lambda: last_beat(alone.store, ROUND), "the first sign of life")
        monkeypatch.setattr(sharing, "due_subjects", silent)
        wait_until(lambda: "waking stands still" in caplog.text, "the standstill to be noticed")
        last = last_beat(alone.store, ROUND)
        caplog.clear()
        wait_until(lambda: caplog.text.count("waking stands still") > 3, "more beats to be due")
        assert last_beat(alone.store, ROUND) == last

    while_going(alone, look)


@pytest.mark.parametrize("by", ["the next wake", "a hand-over"])
def test_what_keeps_a_subject_from_being_woken_stands_as_a_trouble_until_it_is_mended(
    alone: Runtime, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """Also when somebody else moves the subject on while its wake rests: then it is not due any more."""
    first_rest = timedelta(seconds=0.1) if by == "the next wake" else timedelta(hours=1)
    monkeypatch.setattr(backoff, "WAKE", replace(backoff.WAKE, first=first_rest))
    enrol(alone, "ITP-001", "ITP-002")
    [first, *_] = stored_lines(alone.store, "ITP-001")
    damage_log(alone.store, "ITP-001", 1, "not json")

    def about_subject() -> list[Trouble]:
        # The verification of the record has a trouble of its own: a trigger was dropped to do the damage.
        return [each for each in open_troubles(alone.store) if each.about == "ITP-001"]

    def look() -> None:
        [trouble] = wait_until(about_subject, "the trouble to be noted")
        assert "line 1 of its log is damaged" in trouble.what
        damage_log(alone.store, "ITP-001", 1, first.body)
        if by == "a hand-over":
            alone.advance("ITP-001", alone.clock.now())
        wait_until(lambda: not about_subject(), "the trouble to be over")

    while_going(alone, look)


@pytest.mark.parametrize("answers", [True, False])
def test_a_door_that_closes_waits_for_what_has_begun_but_not_for_ever(
    alone: Runtime, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    monkeypatch.setattr(hand_overs, "DRAIN_SECONDS", 10.0 if answers else 0.1)
    now = alone.clock.now()
    today = now.astimezone(SITE).date()
    stated = parse_event(enrolment("ITP-001", now, today, first_infusion_on=str(today)))
    receiver.hang()
    following = Background(alone)
    following.follow(alone.record([stated], now))
    receiver.wait_for(1)
    if answers:
        receiver.succeed()
    assert following.close() is answers
    receiver.succeed()
    told = ["sent", "sent"]  # the coordinator of the visit, the laboratory of the cells
    wait_until(lambda: [each.outcome for each in attempts_of(alone.store, "ITP-001")] == told, "its end")
