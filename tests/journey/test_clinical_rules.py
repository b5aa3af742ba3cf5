"""Escalation, safety and holds through the running service, to a receiver that really receives."""

import os
import signal
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest

from deployments.bootstrap.clock import Clock
from tests.support.receiver import Request
from tests.support.service import SITE, Service, children, event
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("SAF-01")

DAY = timedelta(days=1)


def _state(service: Service, code: str, kind: str, **data: Any) -> datetime:
    """Record an event of now; the world's instant at which it was accepted."""
    stated = event(kind, code, service.study.clock.now(), data)
    before = Clock().now()
    [answer] = service.record(stated)
    assert answer.status == "recorded", answer.error
    return before


def _serious(service: Service, code: str) -> datetime:
    today = service.study.clock.now().astimezone(SITE).date().isoformat()
    return _state(
        service,
        code,
        "adverse-event.reported",
        ae="AE-1",
        term="fever",
        grade=3,
        serious=True,
        related=True,
        on=today,
    )


def _titles(service: Service, code: str, audience: str) -> list[str]:
    return [each.body["title"] for each in _told(service, code, audience)]


def _told(service: Service, code: str, audience: str) -> list[Request]:
    return [each for each in service.receiver.at(audience) if code in each.body["title"]]


def _on(service: Service, code: str, day: date) -> None:
    """Let the subject be woken at everything that is due before noon of a day at the site."""
    noon = datetime.combine(day, time(12), SITE)
    while (wake := service.subject(code).wake_at) is not None and wake < noon:
        service.wait_for_wake(code, service.bring_forward(code, 0.2))
    service.move_clock_to(noon)


def test_a_missed_infusion_climbs_the_ladder_is_acknowledged_goes_on_and_ends_when_recorded(
    travelling: Service,
) -> None:
    """Coordinator, acknowledgement, investigator on its last day, sponsor; silence once it is recorded."""
    service, code = travelling, "ITP-501"
    monday = service.begin_week()
    service.enrol(code, first_infusion_on=monday.isoformat())
    _state(service, code, "visit.completed", visit="INF1", on=monday.isoformat())
    _on(service, code, monday + 9 * DAY)
    wait_until(
        lambda: "overdue" in _titles(service, code, "coordinator")[-1].lower(), "the coordinator to hear"
    )
    assert _titles(service, code, "investigator") == []

    _state(service, code, "escalation.acknowledged", visit="INF2", until=(monday + 11 * DAY).isoformat())
    _on(service, code, monday + 10 * DAY)
    assert _titles(service, code, "investigator") == []
    _on(service, code, monday + 11 * DAY)
    wait_until(lambda: len(_titles(service, code, "investigator")) == 1, "the investigator to hear")
    assert _titles(service, code, "sponsor") == []
    _on(service, code, monday + 14 * DAY)
    wait_until(lambda: len(_titles(service, code, "sponsor")) == 1, "the sponsor to hear")

    _state(service, code, "visit.completed", visit="INF2", on=(monday + 8 * DAY).isoformat())
    before = len([title for title in _titles(service, code, "coordinator") if "Infusion 2" in title])
    _on(service, code, monday + 21 * DAY)
    about = [title for title in _titles(service, code, "coordinator") if "Infusion 2" in title]
    assert len(about) == before
    assert len(_titles(service, code, "sponsor")) == 1
    assert service.subject(code).state == "INF3 window open"


@pytest.mark.parametrize(("prefect", "code"), [("running", "ITP-401"), ("stopped", "ITP-402")])
def test_the_alert_of_a_serious_adverse_event_leaves_whether_prefect_answers_or_not(
    running: Service, prefect: str, code: str
) -> None:
    running.enrol(code)
    [server] = children(running.pid)
    if prefect == "stopped":
        os.kill(server, signal.SIGSTOP)
    try:
        _serious(running, code)
        for audience in ("investigator", "sponsor"):
            _first(running, code, audience)
    finally:
        os.kill(server, signal.SIGCONT)


def _first(service: Service, code: str, audience: str) -> Request:
    return wait_until(lambda: _told(service, code, audience), f"{audience} to be told of {code}")[0]


@pytest.mark.requirement("WDR-04")
def test_a_flag_holds_the_cell_preparation_that_waits_to_be_sent(running: Service) -> None:
    """A channel that fails keeps the notice waiting; once the flag is raised it never arrives."""
    code = "ITP-403"
    today = running.study.clock.now().astimezone(SITE).date()
    running.enrol(code, first_infusion_on=today.isoformat())
    _state(running, code, "visit.completed", visit="INF1", on=today.isoformat())
    running.receiver.fail(503)
    first_infusion = len(_told(running, code, "cell-lab"))
    _on(running, code, today + timedelta(days=4))
    wait_until(lambda: len(_told(running, code, "cell-lab")) > first_infusion, "cells to be ordered")

    _serious(running, code)
    refused = len(_told(running, code, "cell-lab"))
    running.receiver.succeed()
    wait_until(
        lambda: any("stop preparing" in title.lower() for title in _titles(running, code, "cell-lab")),
        "the cell lab to be told to stand down",
    )
    _on(running, code, today + timedelta(days=8))
    later = _titles(running, code, "cell-lab")[refused:]
    assert [title for title in later if "prepare" in title.lower()] == []
    assert running.subject(code).state == "On hold: adverse-event"


@pytest.mark.requirement("COR-02")
def test_a_typo_in_a_serious_event_corrected_twelve_hours_later_reaches_nobody_and_its_worsening_does(
    travelling: Service,
) -> None:
    """Fatal, it stands down the cell lab, asks for the death, and starts the follow-up clock."""
    service, code = travelling, "ITP-502"
    monday = service.begin_week()
    service.enrol(code, first_infusion_on=monday.isoformat())
    _state(service, code, "visit.completed", visit="INF1", on=monday.isoformat())
    friday = monday + 4 * DAY
    _on(service, code, friday)  # the cells for infusion 2 are ordered
    wait_until(lambda: len(_told(service, code, "cell-lab")) == 2, "the cells for infusion 2 to be ordered")
    reported = _adverse_event(service, code, friday, term="fewer")
    _accepted(service, reported)
    wait_until(lambda: len(_told(service, code, "sponsor")) == 1, "the sponsor to hear of the event")
    now = service.study.clock.now()
    _state(service, code, "sae.submitted", ae="AE-1", on=now.astimezone(SITE).date().isoformat())
    before = len(service.told(code))

    service.move_clock_to(now + timedelta(hours=12))
    void = {"event": {"source": reported["source"], "id": reported["id"]}, "reason": "typing error"}
    at = service.study.clock.now()
    corrected = _adverse_event(service, code, friday, term="fever")
    _accepted(service, event("event.voided", code, at, void), corrected)
    service.move_clock_to(at + timedelta(hours=1))
    assert len(service.told(code)) == before

    _accepted(service, _adverse_event(service, code, friday, term="fever", grade=5, outcome="fatal"))
    wait_until(
        lambda: any("stop preparing" in title.lower() for title in _titles(service, code, "cell-lab")),
        "the cell lab to be told to stand down",
    )
    assert service.subject(code).state == "On hold: death-unrecorded"
    _on(service, code, monday + 7 * DAY)
    wait_until(
        lambda: any("no death recorded" in title for title in _titles(service, code, "investigator")),
        "the investigator to be asked for the death",
    )
    assert any("follow-up report owed" in title for title in _titles(service, code, "sponsor"))


def _adverse_event(service: Service, code: str, on: date, **data: Any) -> dict[str, Any]:
    now = service.study.clock.now()
    given = {"ae": "AE-1", "grade": 3, "serious": True, "related": False, **data}
    return event("adverse-event.reported", code, now, given | {"on": on.isoformat()})


def _accepted(service: Service, *events: dict[str, Any]) -> None:
    answers = service.record(*events)
    assert [answer.status for answer in answers] == ["recorded"] * len(events), answers
