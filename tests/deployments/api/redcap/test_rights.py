"""What export rights hide is not what somebody emptied."""

from datetime import timedelta

import pytest

from tasks.database.queries import history
from tests.deployments.api.redcap.coordinator import again, enrolled, facts, left, triggered, visited
from tests.support.api import Door
from tests.support.redcap import Access, Field, RedcapStandIn

pytestmark = pytest.mark.requirement("API-03")


@pytest.fixture
def stated(door: Door, redcap: RedcapStandIn) -> None:
    """An enrolment and a visit with a weight are recorded, and the form of the visit lost its rights."""
    enrolled(door, redcap)
    visited(door, redcap, visit_weight="72.4")


def hide(redcap: RedcapStandIn, *fields: str) -> None:
    """Tag fields as identifiers, and take from the API user the right to export those."""
    for name in fields:
        known = redcap.dictionary[name]
        redcap.dictionary[name] = Field(known.form, known.kind, known.validation, True, known.choices)
    redcap.dictionary["subject_code"] = Field("enrolment", "text")
    redcap.rights.access = "no-identifiers"


@pytest.mark.usefixtures("stated")
def test_a_column_that_the_rights_hide_changes_nothing_and_is_left(door: Door, redcap: RedcapStandIn) -> None:
    before = history(door.study.store, "ITP-001")
    hide(redcap, "visit_weight")
    answer = visited(door, redcap, visit_weight="72.4")
    assert answer["results"] == []
    assert left(door) == answer["left"]
    assert left(door)[0].startswith("visit_weight: REDCap exports no such column; give the API user")
    assert history(door.study.store, "ITP-001") == before


@pytest.mark.usefixtures("stated")
def test_a_field_that_somebody_emptied_is_emptied(door: Door, redcap: RedcapStandIn) -> None:
    visited(door, redcap, visit_weight="")
    assert [data.weight_kg for data in facts(door)[1:]] == [None]
    assert left(door) == []


@pytest.mark.usefixtures("stated")
def test_a_form_comes_through_by_itself_when_its_rights_are_mended(door: Door, redcap: RedcapStandIn) -> None:
    hide(redcap, "visit_weight")
    visited(door, redcap, visit_weight="80")
    again(door)
    assert len(left(door)) == 1
    redcap.rights.access = "full"
    again(door)
    assert [data.weight_kg for data in facts(door)[1:]] == [80]
    assert left(door) == []


def test_no_constant_stands_in_for_a_hidden_column_nor_for_a_hidden_checkbox(
    door: Door, redcap: RedcapStandIn
) -> None:
    hide(redcap, "failed", "site")
    assert enrolled(door, redcap)["results"] == []
    columns = left(door)[0].partition(":")[0]
    assert columns == "site, failed___1, failed___2, failed___3, failed___4"


def test_a_hidden_form_status_is_not_taken_for_complete(door: Door, redcap: RedcapStandIn) -> None:
    enrolled(door, redcap)
    redcap.rights.of_forms["visit"] = "none"
    assert visited(door, redcap)["results"] == []
    assert "visit_complete" in left(door)[0]


def test_a_form_that_is_incomplete_states_nothing_whatever_is_hidden(
    door: Door, redcap: RedcapStandIn
) -> None:
    enrolled(door, redcap)
    hide(redcap, "visit_weight")
    on = f"{door.now - timedelta(days=1):%Y-%m-%d}"
    form = redcap.save("7", "inf_1_arm_1", "visit", complete="1", visit_by="crc-01", visit_date=on)
    assert triggered(door, form) == {"form": "42/7/inf_1_arm_1/visit", "results": [], "left": []}


@pytest.mark.parametrize("access", ["de-identified", "no-identifiers", "none"])
def test_with_lesser_rights_than_the_whole_data_set_nothing_is_recorded_and_the_reason_is_said(
    door: Door, redcap: RedcapStandIn, access: Access
) -> None:
    redcap.rights.access = access
    assert enrolled(door, redcap)["results"] == []
    [problem] = left(door)
    assert ("subject_code: " in problem.replace(",", ":")) or "REDCap answers 403" in problem


def test_a_hashed_record_name_is_no_subject(door: Door, redcap: RedcapStandIn) -> None:
    redcap.dictionary["record_id"] = Field("enrolment", "text", identifier=True)
    redcap.dictionary["subject_code"] = Field("enrolment", "text")
    redcap.rights.access = "no-identifiers"
    assert enrolled(door, redcap)["results"] == []
    assert left(door)[0].startswith("record_id: REDCap exports ")


def test_a_record_without_a_subject_is_said_to_have_none_whatever_is_hidden(
    door: Door, redcap: RedcapStandIn
) -> None:
    hide(redcap, "weight")
    assert enrolled(door, redcap, subject_code="")["left"][0].startswith("subject: ")
    assert enrolled(door, redcap, subject_code="UNK")["left"][0].startswith("subject: ")


def test_a_decimal_comma_comes_as_a_point(door: Door, redcap: RedcapStandIn) -> None:
    redcap.dictionary["visit_weight"] = Field("visit", "text", "number_1dp_comma_decimal")
    enrolled(door, redcap)
    visited(door, redcap, visit_weight="72,4")
    assert [data.weight_kg for data in facts(door)[1:]] == [72.4]
