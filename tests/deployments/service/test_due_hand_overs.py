"""What the round hands over: what a dead sender held, what is due beside a send that hangs, or nothing."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from deployments.api.hand_overs import HandOvers
from deployments.service.hand_overs import DueHandOvers
from deployments.service.sharing import Sharing
from flows.study.runtime import Runtime
from itp_events.events import Event, parse_event
from tasks.advance import Answer
from tasks.database import troubles
from tasks.database.instance import Instance
from tasks.database.queries import attempts_of
from tasks.delivery.channels import Channels
from tasks.delivery.claiming import DeliveryContext, claim
from tests.deployments.api.test_standalone import alone, enrol
from tests.support.damage import damage_log
from tests.support.receiver import Receiver
from tests.support.service import SITE, event

pytestmark = pytest.mark.requirement("DLV-05")

__all__ = ["alone"]

PATIENCE_SECONDS = 30.0


def sweep(study: Runtime, until: Callable[[], bool], end: Callable[[], None] = lambda: None) -> None:
    """Let the round hand over what is due, again and again, until this holds; then `end` what goes on."""

    async def go() -> None:
        found = DueHandOvers(study, Sharing.of(study))
        ends = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while not until():
            assert asyncio.get_running_loop().time() < ends, "not handed over in time"
            await found.sweep()
            await asyncio.sleep(0.2)  # the round's own pace, only quicker
        found.close()
        end()
        await asyncio.gather(*found.begun)

    asyncio.run(go())


def test_what_a_sender_held_that_died_is_handed_over_long_before_its_lease_ends(
    alone: Runtime, receiver: Receiver
) -> None:
    enrol(alone, "ITP-001")
    dead = DeliveryContext(alone.store, alone.protocol, alone.channels, Instance())
    at = alone.clocks()
    assert claim(dead, "ITP-001", at)
    sweep(alone, lambda: bool(receiver.requests))
    assert alone.clocks().wall - at.wall < timedelta(seconds=20)
    [request] = receiver.requests
    assert request.body["title"].startswith("[possibly repeated] ")


def test_a_service_with_other_recipients_hands_over_nothing_until_it_is_restarted(
    alone: Runtime, receiver: Receiver
) -> None:
    enrol(alone, "ITP-001")
    sweep(alone, lambda: len(receiver.requests) == 1)
    enrol(alone, "ITP-002")
    other = replace(alone, channels=Channels(), instance=Instance(), place="ward:/other")
    sweep(other, lambda: bool(troubles.open_troubles(alone.store)))
    [found] = troubles.open_troubles(alone.store)
    assert (found.about, len(receiver.requests)) == ("recipients", 1)
    assert found.what.startswith("nothing is handed over from here: the study's notices go to 1 recipient")
    sweep(replace(alone, instance=Instance()), lambda: len(receiver.requests) == 2)
    assert troubles.open_troubles(alone.store) == []


def test_what_comes_due_is_handed_over_beside_a_send_of_the_same_subject_that_hangs(
    alone: Runtime, receiver: Receiver
) -> None:
    enrol(alone, "ITP-001")
    receiver.hang()
    stated: list[Answer] = []

    def told() -> bool:
        if receiver.requests and not stated:
            stated.extend(alone.record([serious(alone)], alone.clock.now()))
        sent = {each.notice for each in attempts_of(alone.store, "ITP-001") if each.outcome == "sent"}
        return any("/sae/" in notice for notice in sent)

    try:
        sweep(alone, told, end=receiver.succeed)
    finally:
        receiver.succeed()
    assert len(receiver.requests) == 1, "the first was on its way all the time"


def test_a_place_is_kept_while_a_sender_is_free_and_none_once_the_round_closes(
    alone: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.service.hand_overs.LOOP_SENDERS", 2)
    found = DueHandOvers(alone, Sharing.of(alone))
    with found.place() as first, found.place() as second, found.place() as third:
        assert (first, second, third) == (True, True, False)
    found.close()
    with found.place() as kept:
        assert not kept


def test_what_a_wake_has_claimed_is_sent_though_the_round_closes_meanwhile(
    alone: Runtime, receiver: Receiver
) -> None:
    enrol(alone, "ITP-001")
    claims = claim(
        DeliveryContext(alone.store, alone.protocol, alone.channels, alone.instance),
        "ITP-001",
        alone.clocks(),
    )
    assert claims

    async def go() -> None:
        found = DueHandOvers(alone, Sharing.of(alone))
        with found.place() as kept:
            assert kept
            found.close()
            found.begin("ITP-001", claims)
        found.begin("ITP-001")
        assert len(found.begun) == 1
        await asyncio.gather(*found.begun)

    asyncio.run(go())
    assert sum(each.recipient.id != "console" for each in claims) == len(receiver.requests) == 1


def test_a_subject_whose_log_is_damaged_is_named_in_one_line_and_the_others_are_told(
    alone: Runtime, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    for code in ("ITP-001", "ITP-002"):
        enrol(alone, code)
    damage_log(alone.store, "ITP-001", 1, "not json")
    doors = HandOvers(alone)
    doors.begin("ITP-001")
    assert doors.close()
    sweep(alone, lambda: len(named(caplog, "ITP-001")) == 2 and len(receiver.requests) == 1)
    for record in named(caplog, "ITP-001"):
        assert "ITP-001 cannot be read: line 1 of its log is damaged" in record.getMessage()
        assert record.exc_info is None


def named(caplog: pytest.LogCaptureFixture, code: str) -> list[logging.LogRecord]:
    """What the log says of one subject."""
    return [record for record in caplog.records if code in record.getMessage()]


def serious(study: Runtime) -> Event:
    """A serious adverse event of today, which the investigator hears of on the console."""
    now = study.clock.now()
    today = now.astimezone(SITE).date().isoformat()
    data = {"ae": "AE-1", "term": "Fever", "grade": 3, "serious": True, "related": False, "on": today}
    return parse_event(event("adverse-event.reported", "ITP-001", now, data))
