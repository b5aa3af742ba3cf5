"""What somebody changes in a real Prefect is put back, and what came by it meanwhile is not believed."""

import asyncio
from base64 import b64encode
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from deployments.bootstrap.clock import Clock
from deployments.prefect.deployments import FLOWS
from deployments.prefect.trigger import TRIGGER, EventTrigger, automation
from deployments.service.prefect_link import PrefectLink
from flows.prefect_api.flow_runs import RECORD_EVENT, Deployment, FlowRun, FlowRuns, scheduled
from flows.prefect_api.setup import Setup
from flows.study.runtime import Runtime
from itp_events.protocol.file import load_protocol
from tasks.database.repairs import latest_repairs
from tasks.database.store import Store
from tasks.delivery.channels import Channels
from tests.flows.conftest import journeys, runs
from tests.support.asking import prefect_at

pytestmark = pytest.mark.requirement("RUN-09")

__all__ = ["journeys", "runs"]

FORM = "adverse-event"


@pytest.fixture
def link(sqlite_url: str, runs: FlowRuns, journeys: Deployment) -> Iterator[PrefectLink]:
    """The link of a study of its own that has set everything up."""
    store = Store.open(sqlite_url)
    link = PrefectLink(Runtime(store, load_protocol(), Channels.from_config(None), Clock(), runs.api))
    link.runs.close()
    link.runs = Setup(runs.api, 30.0)
    asyncio.run(link.look_up())
    yield link
    link.runs.close()
    store.close()


def form(link: PrefectLink) -> dict[str, Any]:
    found = link.runs.deployed(FORM)
    assert found is not None
    return found


def without_reading(body: dict[str, Any]) -> dict[str, Any]:
    """What a deployment is, its stamps aside."""
    return {name: value for name, value in body.items() if name not in ("updated", "last_polled", "status")}


# Each is a change that Prefect's API takes from anybody.
CHANGES: dict[str, dict[str, Any]] = {
    "entrypoint": {"entrypoint": "elsewhere.evil"},
    "path": {"path": "/tmp"},
    "pull_steps": {"pull_steps": [{"prefect.deployments.steps.run_shell_script": {"script": "true"}}]},
    "enforce_parameter_schema": {"enforce_parameter_schema": False},
    "parameters": {"parameters": {"serious": False}},
    "paused": {"paused": True},
    "concurrency_limit": {"concurrency_limit": 1},
    "description": {"description": "Leave serious empty."},
    "schedules": {"schedules": [{"schedule": {"interval": 3600}, "active": False}]},
}


@pytest.mark.parametrize("field", CHANGES)
def test_a_deployment_that_somebody_changed_is_put_back(
    link: PrefectLink, field: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = form(link)
    link.runs.call("PATCH", f"/deployments/{before['id']}", CHANGES[field])
    assert without_reading(form(link)) != without_reading(before)
    asyncio.run(link.keep_in_order())
    assert without_reading(form(link)) == without_reading(before)
    assert f"the deployment {FORM} was not as the service applies it" in caplog.text
    assert FORM in latest_repairs(link.study.store)[0].what


def test_what_a_form_asks_is_put_back(link: PrefectLink) -> None:
    before = form(link)
    schema = deepcopy(before["parameter_openapi_schema"])
    schema["properties"]["serious"]["description"] = "Whether it is not serious."
    link.runs.call("PATCH", f"/deployments/{before['id']}", {"parameter_openapi_schema": schema})
    asyncio.run(link.keep_in_order())
    assert form(link)["parameter_openapi_schema"] == before["parameter_openapi_schema"]


def test_a_deployment_in_order_is_not_touched(link: PrefectLink, caplog: pytest.LogCaptureFixture) -> None:
    before = form(link)
    asyncio.run(link.keep_in_order())
    assert form(link)["updated"] == before["updated"]
    assert latest_repairs(link.study.store) == []
    assert "put back" not in caplog.text


def test_deployments_that_were_deleted_are_there_again(link: PrefectLink) -> None:
    link.runs.call("DELETE", f"/deployments/{form(link)['id']}")
    asyncio.run(link.keep_in_order())
    assert str(link.deployments[FORM].id) == form(link)["id"]
    assert set(link.deployments) == set(FLOWS)


def the_automation(link: PrefectLink) -> dict[str, Any]:
    [found] = link.runs.automations(TRIGGER)
    return found


def rewrite(link: PrefectLink) -> None:
    """Let the automation record the contrary of what is posted."""
    changed = automation(link.deployments[RECORD_EVENT])
    value = changed["actions"][0]["parameters"]["event"]["value"]
    changed["actions"][0]["parameters"] = deepcopy(changed["actions"][0]["parameters"])
    value = changed["actions"][0]["parameters"]["event"]["value"]
    value["template"] = "{{ event.payload | tojson | replace('true', 'false') }}"
    change(link, changed)


def change(link: PrefectLink, contents: dict[str, Any]) -> None:
    """Change the automation, as anybody may."""
    link.runs.call("PUT", f"/automations/{the_automation(link)['id']}", contents)


def trigger(link: PrefectLink) -> EventTrigger:
    return EventTrigger(link.study.store, link.runs, link.deployments[RECORD_EVENT])


def brought(link: PrefectLink, by: str | None = None) -> FlowRun:
    """A run that an automation has started: the one that there is, or another."""
    empty = link.deployments[RECORD_EVENT].journey(uuid4(), "ITP-001")
    return replace(empty, made_by=by or the_automation(link)["id"])


def test_an_automation_that_somebody_rewrote_is_put_back(
    link: PrefectLink, caplog: pytest.LogCaptureFixture
) -> None:
    before = the_automation(link)
    rewrite(link)
    asyncio.run(link.keep_in_order())
    after = the_automation(link)
    assert after["actions"] == before["actions"]
    assert "the automation by which posted events come in had been changed" in caplog.text


def test_an_automation_that_was_deleted_is_made_again_and_one_too_many_goes(link: PrefectLink) -> None:
    link.runs.delete_automations([the_automation(link)["id"]])
    asyncio.run(link.keep_in_order())
    link.runs.create_automation(automation(link.deployments[RECORD_EVENT]))
    asyncio.run(link.keep_in_order())
    assert the_automation(link)["enabled"]


def test_an_automation_in_order_is_not_touched_when_the_service_starts_again(link: PrefectLink) -> None:
    """What came by it while the service was away is what was stated."""
    before = the_automation(link)
    successor = PrefectLink(link.study)
    asyncio.run(successor.look_up())
    successor.runs.close()
    assert the_automation(link)["updated"] == before["updated"]


def test_what_a_rewritten_automation_brought_is_not_believed_whenever_it_comes(link: PrefectLink) -> None:
    """Prefect may act on what it was for some seconds after it has been put back."""
    honest = brought(link)
    assert trigger(link).brought(honest)
    rewrite(link)
    forged = brought(link)
    assert trigger(link).put_back()
    assert not trigger(link).brought(forged)
    assert trigger(link).brought(brought(link))


def test_a_change_that_was_undone_before_anybody_looked_is_seen_all_the_same(link: PrefectLink) -> None:
    rewrite(link)
    forged = brought(link)
    change(link, automation(link.deployments[RECORD_EVENT]))
    assert trigger(link).put_back()
    assert not trigger(link).brought(forged)


def test_what_another_automation_started_is_not_believed(link: PrefectLink) -> None:
    assert not trigger(link).brought(brought(link, by=f"{uuid4()}"))


def test_an_older_program_s_automation_is_brought_up_to_date_and_what_it_brought_is_believed(
    link: PrefectLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = brought(link)
    monkeypatch.setattr("deployments.prefect.trigger.FACT_TYPES", {"itp.of.a.newer.program": object})
    assert trigger(link).put_back() is None
    assert the_automation(link)["trigger"]["expect"] == ["itp.of.a.newer.program"]
    assert trigger(link).brought(waiting)
    assert trigger(link).brought(brought(link))


def test_what_a_study_finds_when_it_first_uses_a_prefect_is_taken_on(
    link: PrefectLink, tmp_path: Path
) -> None:
    before = the_automation(link)
    store = Store.open(f"sqlite:///{tmp_path / 'other.db'}")
    other = replace(trigger(link), store=store)
    assert other.put_back() is None
    assert the_automation(link)["id"] == before["id"]
    assert other.brought(brought(link))
    store.close()


def started_by(link: PrefectLink, automation: str) -> FlowRun:
    """A run that Prefect has created for an automation, as Prefect's own services ask for it."""
    recording = link.deployments[RECORD_EVENT]
    named = {"Prefect-Automation-ID": automation, "Prefect-Automation-Name": b64encode(b"named").decode()}
    given = {"parameters": {"event": {}}, "state": scheduled(Clock().now())}
    with prefect_at(link.api) as prefect:
        answer = prefect.post(f"/deployments/{recording.id}/create_flow_run", json=given, headers=named)
    made = answer.raise_for_status().json()
    run = link.runs.read(UUID(made["id"]))
    assert run is not None
    return run


def test_a_run_that_may_not_be_believed_ends_refused_and_the_others_are_executed(link: PrefectLink) -> None:
    recording, now = link.deployments[RECORD_EVENT], scheduled(Clock().now())
    by_hand = link.runs.create_named(recording, uuid4().hex, {"event": {}}, now)
    own, other = started_by(link, the_automation(link)["id"]), started_by(link, f"{uuid4()}")
    assert link.admit([by_hand, own, other]) == [by_hand, own]
    ended = link.runs.read(other.id)
    assert ended is not None
    assert (ended.state_type, ended.state_name) == ("FAILED", "Refused")
    assert f"{other.id}" in latest_repairs(link.study.store)[0].what


def test_what_waits_when_an_automation_is_found_rewritten_is_refused(link: PrefectLink) -> None:
    rewrite(link)
    assert link.admit([started_by(link, the_automation(link)["id"])]) == []
    assert link.admit([own := started_by(link, the_automation(link)["id"])]) == [own]
