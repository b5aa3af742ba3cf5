"""Prefect as a door: its events API, and runs of `record-event` started in its UI."""

import os
import signal
from typing import Any

import pytest

from deployments.prefect.trigger import TRIGGER
from flows.prefect_api.flow_runs import RECORD_EVENT
from itp_events.events import ContactAttempted
from tasks.database.queries import log_lines
from tests.support.asking import prefect_at
from tests.support.posting import posted
from tests.support.service import SITE, Service, children, enrolment, event
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("RUN-09")

REWRITING = "{{ event.payload | tojson | replace('true', 'false') }}"


def post(service: Service, *events: dict[str, Any]) -> None:
    """Post CloudEvents to Prefect's own events API."""
    with prefect_at(service.settings.prefect_api) as prefect:
        prefect.post("/events", json=[posted(event) for event in events]).raise_for_status()


def record_runs(service: Service, code: str) -> list[dict[str, Any]]:
    """The runs of `record-event` for a subject."""
    query = {"flows": {"name": {"any_": [RECORD_EVENT]}}, "sort": "EXPECTED_START_TIME_ASC"}
    with prefect_at(service.settings.prefect_api) as prefect:
        found = prefect.post("/flow_runs/filter", json=query).raise_for_status().json()
    return [run for run in found if run["parameters"]["event"].get("subject") == code]


def ended(service: Service, code: str, count: int) -> list[tuple[str, str]]:
    """Wait for so many runs to end; each one's state and message."""
    wait_until(lambda: len(record_runs(service, code)) == count, f"{count} runs of record-event", every=0.5)
    return endings(service, code)


def endings(service: Service, code: str) -> list[tuple[str, str]]:
    """Wait for all the runs there are to end; each one's state and message."""

    def all_ended() -> bool:
        return all(run["state_type"] in ("COMPLETED", "FAILED") for run in record_runs(service, code))

    wait_until(all_ended, "the runs of record-event to end", every=0.5)
    return [(run["state"]["name"], run["state"]["message"]) for run in record_runs(service, code)]


def test_an_enrolment_posted_to_prefect_s_events_api_starts_one_journey(running: Service) -> None:
    now = running.study.clock.now()
    stated = enrolment("ITP-201", now, now.astimezone(SITE).date())
    post(running, stated)
    assert ended(running, "ITP-201", 1)[0][0] == "Recorded"
    running.wait_for_run("ITP-201", running.is_shown("ITP-201"), "to wait")
    post(running, stated)
    assert [name for name, _ in ended(running, "ITP-201", 2)] == ["Recorded", "Known"]


def test_a_refusal_is_shown_in_the_run_with_the_door_s_own_sentence(running: Service) -> None:
    running.enrol("ITP-202")
    now = running.study.clock.now()
    again = enrolment("ITP-202", now, now.astimezone(SITE).date())
    post(running, again)
    [(name, message)] = ended(running, "ITP-202", 1)
    [answer] = running.record(again)
    assert name == "Refused"
    assert message == str(answer.error)
    decision = {"by": "inv-01", "decision": "continue", "reason": "r", "on": again["data"]["on"]}
    post(running, again | {"id": "d-1", "type": "itp.withdrawal.decided", "data": decision})
    assert "only an investigator" in ended(running, "ITP-202", 2)[1][1]


def test_an_event_that_cannot_be_read_is_refused_with_the_field(running: Service) -> None:
    now = running.study.clock.now()
    stated = enrolment("ITP-203", now, now.astimezone(SITE).date())
    stated["data"]["weight_pounds"] = 120
    post(running, stated)
    [(name, message)] = ended(running, "ITP-203", 1)
    assert name == "Refused"
    assert "weight_pounds" in message


def test_no_event_is_recorded_as_somebody_rewrites_it_on_its_way(running: Service) -> None:
    """The automation is put back before the event comes, or what it made of the event is refused; the event
    is recorded as it was posted.
    """
    running.enrol("ITP-204")
    now = running.study.clock.now()
    query = {"automations": {"name": {"any_": [TRIGGER]}}}
    with prefect_at(running.settings.prefect_api) as prefect:
        [mine] = prefect.post("/automations/filter", json=query).raise_for_status().json()
        mine["actions"][0]["parameters"]["event"]["value"]["template"] = REWRITING
        changed = {name: value for name, value in mine.items() if name not in ("id", "created", "updated")}
        prefect.put(f"/automations/{mine['id']}", json=changed).raise_for_status()
    said = {"on": f"{now.astimezone(SITE).date()}", "reached": True}
    post(running, event("contact.attempted", "ITP-204", now, said))

    def reached() -> list[bool]:
        recorded = [line.event.data for line in log_lines(running.study.store, "ITP-204")]
        return [each.reached for each in recorded if isinstance(each, ContactAttempted)]

    wait_until(reached, "the event to be recorded", every=0.5)
    # The fact is there before its run has ended.
    for name, message in endings(running, "ITP-204"):
        assert name == "Recorded" or (name == "Refused" and "another run" in message)
    assert reached() == [True]


def test_what_is_posted_to_a_prefect_that_is_killed_at_once_is_recorded(running: Service) -> None:
    running.enrol("ITP-205")
    [server] = children(running.pid)
    now = running.study.clock.now()
    said = {"on": f"{now.astimezone(SITE).date()}", "reached": True}
    stated = [event("contact.attempted", "ITP-205", now, said, number=f"{n}") for n in range(5)]
    post(running, *stated)
    os.kill(server, signal.SIGKILL)

    def recorded() -> list[str]:
        lines = [line.event for line in log_lines(running.study.store, "ITP-205")]
        return [each.id for each in lines if isinstance(each.data, ContactAttempted)]

    wait_until(lambda: len(recorded()) == len(stated), "all of them to be recorded", every=0.5)
    assert sorted(recorded()) == sorted(each["id"] for each in stated)
