"""What REDCap did not give is asked for again, at a pace that REDCap bears, and not for ever."""

import codecs
from dataclasses import replace
from datetime import timedelta

import pytest

from deployments.api.redcap.again import Retries
from deployments.api.redcap.lead import LEAD, leads
from deployments.api.redcap.project import Project
from tests.deployments.api.redcap.coordinator import (
    ENROLMENT,
    again,
    enrolled,
    facts,
    left,
    triggered,
    visited,
)
from tests.support.api import Door
from tests.support.redcap import Raw, RedcapStandIn

pytestmark = pytest.mark.requirement("API-03")


@pytest.fixture
def project(door: Door) -> Project:
    assert door.project is not None
    return door.project


def triggers(door: Door, redcap: RedcapStandIn, number: int) -> list[dict[str, str]]:
    """The triggers of as many enrolments, each of a record of its own."""
    on = f"{door.now - timedelta(days=3):%Y-%m-%d}"
    fields = ENROLMENT | {"enrol_date": on, "consent_date": on}
    return [
        redcap.save(
            f"{each}", "screening_arm_1", "enrolment", **(fields | {"subject_code": f"ITP-{each:03}"})
        )
        for each in range(1, number + 1)
    ]


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        (
            "record",
            "REDCap has no record 7 for this API user: it was deleted or renamed, or is in another data",
        ),
        ("event", "REDCap has no form 42/7/inf_1_arm_1/visit: its event or its repetition was deleted"),
    ],
)
def test_a_form_of_a_record_that_is_gone_is_kept_and_never_asked_for_again(
    door: Door, redcap: RedcapStandIn, gone: str, said: str
) -> None:
    enrolled(door, redcap)
    form = redcap.save("7", "inf_1_arm_1", "visit", visit_by="crc-01")
    if gone == "record":
        redcap.delete("7")
    else:
        redcap.forms["7"] = {
            each: fields for each, fields in redcap.forms["7"].items() if each.name != "visit"
        }
    assert triggered(door, form)["left"] == left(door)
    assert left(door)[0].startswith(said)
    asked = len(redcap.exports)
    again(door)
    assert len(redcap.exports) == asked
    visited(door, redcap)
    assert left(door) == []


@pytest.mark.parametrize(
    "raw",
    [
        Raw(b'{"error":"You do not have permissions to use the API"}', 403),
        Raw(b'{"error":"no token"}', 401),
        Raw(b"Too Many Requests", 429),
        Raw(b"Your IP address (192.0.2.7) has been banned due to suspected abuse."),
        Raw(b"<html><body>Your IP address has been blocked</body></html>"),
    ],
    ids=["token revoked", "no token", "too many", "banned", "banned by a page"],
)
def test_a_redcap_that_refuses_is_left_alone_and_no_form_is_lost(
    door: Door, redcap: RedcapStandIn, project: Project, raw: Raw
) -> None:
    redcap.raw = raw
    forms = triggers(door, redcap, 12)
    answers = [triggered(door, form)["left"][0] for form in forms]
    assert [answer.partition(" ")[0] for answer in answers] == ["REDCap"] + ["waits"] * 11
    again(door)
    assert len(redcap.exports) == 1
    redcap.raw = None
    project.gate.lift()
    again(door)
    assert left(door) == []
    assert len(door.get("/subjects").json()) == 12


@pytest.mark.parametrize("before", [b"", codecs.BOM_UTF8, codecs.BOM_UTF8 + b"\r\n "])
def test_what_speaks_of_bans_in_a_record_is_no_ban(door: Door, redcap: RedcapStandIn, before: bytes) -> None:
    redcap.before = before
    enrolled(door, redcap, screening_notes="said that his IP was banned, too many requests")
    assert left(door) == []
    assert len(facts(door)) == 1


def test_a_form_that_redcap_does_not_give_is_asked_for_ever_more_rarely(
    door: Door, redcap: RedcapStandIn, project: Project
) -> None:
    redcap.raw = Raw(
        b'{"error":"The following values in the parameter \\"fields\\" are not valid: \'plt\'"}', 400
    )
    [form] = triggers(door, redcap, 1)
    assert "REDCap answers 400" in triggered(door, form)["left"][0]
    retries, asked = Retries(), len(redcap.exports)
    for _ in range(5):
        retries.round(door.api, project)
    assert len(redcap.exports) == asked + 1


def test_a_round_ends_where_redcap_is_silent_and_the_next_begins_with_another_form(
    door: Door, redcap: RedcapStandIn, project: Project
) -> None:
    redcap.down = True
    for form in triggers(door, redcap, 3):
        triggered(door, form)
    retries, asked = Retries(), len(redcap.exports)
    for _ in range(4):
        retries.round(door.api, project)
    records = [each["records[0]"] for each in redcap.exports[asked:]]
    assert records == ["1", "2", "3", "1"]
    redcap.down = False
    retries.round(door.api, project)
    assert left(door) == []


def test_one_process_leads_until_it_gives_no_sign_any_more(door: Door, project: Project) -> None:
    at = project.wall() + LEAD

    def leads_after(name: str, after: timedelta) -> bool:
        return leads(replace(project, process=name, wall=lambda: at + after))

    assert leads_after("one", timedelta())
    assert not leads_after("two", LEAD / 2)
    assert leads_after("one", LEAD / 2)
    assert not leads_after("two", LEAD)
    assert leads_after("two", LEAD * 3 / 2)
    assert not leads_after("one", LEAD * 3 / 2)
