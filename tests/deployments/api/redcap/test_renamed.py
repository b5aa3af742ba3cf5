"""A record that is renamed in REDCap stays the record of the same subject."""

from datetime import timedelta
from typing import Any

import pytest

from tasks.database.queries import history
from tests.deployments.api.redcap.coordinator import enrolled, facts, left, triggered
from tests.support.api import Door
from tests.support.redcap import RedcapStandIn

pytestmark = pytest.mark.requirement("API-03")


@pytest.fixture(autouse=True)
def _enrolled(door: Door, redcap: RedcapStandIn) -> None:
    enrolled(door, redcap)


def adverse_event(
    door: Door, redcap: RedcapStandIn, record: str, number: str = "AE-1", **changes: str
) -> Any:
    on = f"{door.now - timedelta(days=1):%Y-%m-%d}"
    fields = {"ae_by": "crc-01", "ae_number": number, "ae_term": "Headache", "ae_grade": "3"}
    fields |= {"ae_serious": "1", "ae_related": "0", "ae_onset": on, "subject_code": "ITP-001"}
    instance = changes.pop("instance", "")
    event = changes.pop("event", "screening_arm_1")
    form = redcap.save(record, event, "adverse_event", instance=instance, **(fields | changes))
    return triggered(door, form)


def adverse_events(door: Door) -> list[tuple[str, int]]:
    return [(data.ae, data.grade) for data in facts(door) if hasattr(data, "ae")]


def test_its_unchanged_form_saved_again_is_known(door: Door, redcap: RedcapStandIn) -> None:
    adverse_event(door, redcap, "7")
    redcap.rename("7", "007")
    assert [each["outcome"] for each in adverse_event(door, redcap, "007")["results"]] == ["known"]
    assert adverse_events(door) == [("AE-1", 3)]
    assert left(door) == []


@pytest.mark.parametrize("instance", ["", "1", "2"])
def test_its_changed_form_voids_what_it_said_under_the_old_name(
    door: Door, redcap: RedcapStandIn, instance: str
) -> None:
    adverse_event(door, redcap, "7", instance=instance)
    redcap.rename("7", "007")
    adverse_event(door, redcap, "007", ae_grade="2", instance=instance)
    assert adverse_events(door) == [("AE-1", 2)]
    adverse_event(door, redcap, "007", ae_grade="4", instance=instance)
    assert adverse_events(door) == [("AE-1", 4)]
    assert left(door) == []


def test_a_record_that_is_renamed_twice_is_still_the_same(door: Door, redcap: RedcapStandIn) -> None:
    adverse_event(door, redcap, "7")
    for old, new, grade in (("7", "007", "2"), ("007", "1205-7", "4"), ("1205-7", "7", "3")):
        redcap.rename(old, new)
        adverse_event(door, redcap, new, ae_grade=grade)
        assert adverse_events(door) == [("AE-1", int(grade))]


def test_long_names_are_found_again_too(door: Door, redcap: RedcapStandIn) -> None:
    adverse_event(door, redcap, "r" * 90, event="e" * 60)
    redcap.rename("r" * 90, "s" * 90)
    adverse_event(door, redcap, "s" * 90, event="e" * 60, ae_grade="2")
    assert adverse_events(door) == [("AE-1", 2)]


def test_what_was_recorded_before_forms_were_kept_is_found_by_its_id(
    door: Door, redcap: RedcapStandIn
) -> None:
    adverse_event(door, redcap, "7")
    with door.study.store.writing() as connection:
        connection.exec_driver_sql("DELETE FROM redcap_statements")
    redcap.rename("7", "DAG/7")
    adverse_event(door, redcap, "DAG/7", ae_grade="2")
    assert adverse_events(door) == [("AE-1", 2)]


def test_two_records_of_one_subject_that_are_both_there_are_two(door: Door, redcap: RedcapStandIn) -> None:
    """As where each adverse event has a record of its own."""
    adverse_event(door, redcap, "7")
    adverse_event(door, redcap, "8", "AE-2")
    adverse_event(door, redcap, "9", ae_grade="2")
    assert adverse_events(door) == [("AE-1", 3), ("AE-2", 3), ("AE-1", 2)]


def test_a_record_that_speaks_of_another_thing_continues_none_that_is_gone(
    door: Door, redcap: RedcapStandIn
) -> None:
    adverse_event(door, redcap, "8")
    redcap.delete("8")
    adverse_event(door, redcap, "9", "AE-2")
    assert adverse_events(door) == [("AE-1", 3), ("AE-2", 3)]


def test_a_repetition_of_another_number_is_another_form(door: Door, redcap: RedcapStandIn) -> None:
    adverse_event(door, redcap, "7", instance="1")
    redcap.rename("7", "007")
    adverse_event(door, redcap, "007", instance="2", ae_grade="2")
    assert adverse_events(door) == [("AE-1", 3), ("AE-1", 2)]


def test_while_redcap_does_not_say_whether_the_old_record_is_there_the_form_waits(
    door: Door, redcap: RedcapStandIn
) -> None:
    adverse_event(door, redcap, "7")
    redcap.rename("7", "007")
    before = history(door.study.store, "ITP-001")
    redcap.most_per_minute = redcap.hits() + 1
    assert "has been banned" in adverse_event(door, redcap, "007", ae_grade="2")["left"][0]
    assert history(door.study.store, "ITP-001") == before
