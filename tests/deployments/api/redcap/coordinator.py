"""What a coordinator does in REDCap, and what the service then answers."""

from datetime import timedelta
from typing import Any

from deployments.api.redcap.again import fetch_again
from deployments.api.redcap.catch_up import has_read
from itp_events.rules.subject import not_voided
from tasks.database.dead_letters import open_dead_letters
from tasks.database.queries import history
from tests.support.api import Door
from tests.support.redcap import EXAMPLE, TOKEN, RedcapStandIn
from tests.support.waiting import wait_until

KEY = "k" * 20
ENROLMENT = {
    "subject_code": "ITP-001",
    "entered_by": "crc-01",
    "weight": "61.5",
    "age": "34",
    "sex": "2",
    "itp_months": "14",
    "failed___1": "1",
    "failed___2": "1",
    "failed___3": "1",
    "failed___4": "0",
    "alt": "0.8",
    "ast": "0.9",
    "bilirubin": "0.7",
    "creatinine": "0.9",
    "childbearing": "1",
    "hcg": "0",
    "breastfeeding": "0",
    "contraception": "1",
    "screening_notes": "ignored by the mapping",
}


def settings_for(redcap: RedcapStandIn, **settings: Any) -> dict[str, Any]:
    """The settings of a study that is connected to a REDCap which may be asked as often as one likes."""
    given = {"redcap_url": redcap.url, "redcap_token": TOKEN, "redcap_mapping": EXAMPLE, "redcap_key": KEY}
    return given | {"redcap_requests_per_minute": 6000} | settings


def triggered(door: Door, form: dict[str, str], key: str = KEY) -> Any:
    answer = door.client.post("/redcap", params={"key": key}, data=form)
    assert answer.status_code == 200, answer.text
    return answer.json()


def enrolled(door: Door, redcap: RedcapStandIn, **changes: str) -> Any:
    on = f"{door.now - timedelta(days=3):%Y-%m-%d}"
    fields = ENROLMENT | {"enrol_date": on, "consent_date": on} | changes
    return triggered(door, redcap.save("7", "screening_arm_1", "enrolment", **fields))


def visited(door: Door, redcap: RedcapStandIn, event: str = "inf_1_arm_1", **changes: str) -> Any:
    on = f"{door.now - timedelta(days=1):%Y-%m-%d}"
    fields = {"subject_code": "ITP-001", "visit_by": "crc-01", "visit_date": on, "plt": "41"}
    return triggered(door, redcap.save("7", event, "visit", **(fields | changes)))


def facts(door: Door) -> list[Any]:
    return [event.data for event in not_voided(history(door.study.store, "ITP-001"))]


def settled(door: Door) -> Door:
    """The door once the first look at REDCap's log is over, so that it does not meet what a test saves."""
    project = door.project
    assert project is not None
    wait_until(lambda: has_read(project), "REDCap's log to be read for the first time")
    return door


def left(door: Door) -> list[str]:
    """The problems of what is left."""
    return [each.problem for each in open_dead_letters(door.study.store)]


def again(door: Door) -> None:
    """Ask at once for what REDCap did not give."""
    assert door.project is not None
    fetch_again(door.api, door.project)
