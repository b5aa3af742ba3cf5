"""Signed events from other systems: signature, replay window, own source."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from deployments.api.routes.webhook import SIGNATURE, TIMESTAMP, read_secrets, signature
from itp_events.errors import BadInput
from tests.support.api import Door, enrolment, event, served

pytestmark = pytest.mark.requirement("SEC-02")

SECRET = "a secret of the sender"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with served(tmp_path, webhook_secrets=f"castor:{SECRET},other:{SECRET[::-1]}") as door:
        yield door


def stated(door: Door) -> dict[str, object]:
    return enrolment("ITP-001", door.now) | {"source": "castor"}


def send(
    door: Door, value: object, *, secret: str = SECRET, age: float = 0, name: str = "castor"
) -> httpx.Response:
    body = json.dumps(value).encode()
    timestamp = str(int((door.now - timedelta(seconds=age)).timestamp()))
    headers = {TIMESTAMP: timestamp, SIGNATURE: signature(secret, timestamp, body)}
    return door.client.post(f"/webhooks/{name}", content=body, headers=headers)


def test_a_signed_event_is_recorded_and_its_repetition_known(door: Door) -> None:
    given = stated(door)
    assert [send(door, given).status_code for _ in range(2)] == [201, 200]


def test_a_signature_of_another_secret_or_sender_does_not_fit(door: Door) -> None:
    assert send(door, stated(door), secret=SECRET[::-1]).status_code == 401
    assert send(door, stated(door), name="nobody").status_code == 401
    assert send(door, stated(door), name="nobody", secret="").status_code == 401


def test_a_sender_whose_clock_is_ahead_is_forgiven_as_far_as_its_signature_is(door: Door) -> None:
    given = stated(door) | {"time": (door.now + timedelta(seconds=200)).isoformat()}
    assert send(door, given, age=-200).status_code == 201
    later = event(
        "visit.unscheduled", "ITP-001", door.now + timedelta(seconds=360), {"on": f"{door.now.date()}"}
    )
    refused = send(door, later | {"source": "castor", "data": later["data"] | {"reason": "control"}})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:itp:problem:future")


def test_attributes_in_headers_are_not_signed_and_refused(door: Door) -> None:
    body, timestamp = b"{}", str(int(door.now.timestamp()))
    headers = {TIMESTAMP: timestamp, SIGNATURE: signature(SECRET, timestamp, body), "ce-specversion": "1.0"}
    answer = door.client.post("/webhooks/castor", content=body, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (415, "urn:itp:problem:media-type")


# A stamp ahead of the clock comes nearer while the request is made: it has half a minute to spare.
@pytest.mark.parametrize("age", [301, -330])
def test_a_request_is_good_for_five_minutes(door: Door, age: float) -> None:
    assert send(door, stated(door), age=age).status_code == 401


def test_a_body_or_timestamp_changed_on_the_way_does_not_fit(door: Door) -> None:
    timestamp = str(int(door.now.timestamp()))
    headers = {TIMESTAMP: timestamp, SIGNATURE: signature(SECRET, timestamp, b"{}")}
    assert door.client.post("/webhooks/castor", content=b"{} ", headers=headers).status_code == 401
    headers[TIMESTAMP] = str(int(timestamp) - 1)
    assert door.client.post("/webhooks/castor", content=b"{}", headers=headers).status_code == 401
    assert door.client.post("/webhooks/castor", content=b"{}").status_code == 401


def test_a_sender_states_events_of_its_own_source_and_no_decisions(door: Door) -> None:
    assert send(door, enrolment("ITP-001", door.now)).status_code == 403
    decision = event("withdrawal.decided", "ITP-001", door.now, {"decision": "withdraw", "reason": "r"})
    decision["data"]["on"] = f"{door.now:%Y-%m-%d}"
    assert send(door, decision | {"source": "castor"}).status_code == 403


def test_a_sender_takes_back_only_what_its_own_source_stated(door: Door) -> None:
    assert send(door, stated(door)).status_code == 201
    contact = event("contact.attempted", "ITP-001", door.now, {"on": f"{door.now:%Y-%m-%d}", "reached": True})
    for source, expected in (("test", 403), ("castor", 201)):
        theirs = contact | {"source": source, "id": f"of {source}"}
        assert door.post(theirs).status_code == 201
        data = {"event": {"source": source, "id": theirs["id"]}, "reason": "mistaken"}
        void = event("event.voided", "ITP-001", door.now, data) | {"source": "castor"}
        answer = send(door, void)
        assert answer.status_code == expected, answer.text
    assert "source 'castor' only" in send(door, void | {"source": "test"}).json()["detail"]


@pytest.mark.parametrize("setting", ["castor", "castor:short", ":" + "x" * 20])
def test_secrets_that_cannot_be_read_stop_the_service(setting: str) -> None:
    with pytest.raises(BadInput, match="entry 1"):
        read_secrets(setting)
