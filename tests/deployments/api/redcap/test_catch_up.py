"""What was saved in REDCap while nobody answered its triggers is caught up from REDCap's log."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from deployments.api.redcap import catch_up as catching
from deployments.api.redcap import client
from deployments.api.redcap.catch_up import Caught, catch_up
from deployments.api.redcap.trouble import RedcapSilent
from tasks.database.troubles import open_troubles
from tests.deployments.api.redcap.coordinator import (
    ENROLMENT,
    again,
    enrolled,
    facts,
    left,
    settings_for,
    settled,
    triggered,
    visited,
)
from tests.support.api import Door, served
from tests.support.redcap import Raw, RedcapStandIn
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("API-03")


def caught(door: Door, **how: Any) -> Caught:
    """Catch up once, without patience."""
    assert door.project is not None
    return catch_up(door.api, door.project, lambda _: True, **how)


def day(door: Door, days_ago: int) -> str:
    return f"{door.now - timedelta(days=days_ago):%Y-%m-%d}"


def save_enrolment(
    door: Door, redcap: RedcapStandIn, record: str = "7", code: str = "ITP-001", ago: int = 9
) -> None:
    fields = ENROLMENT | {"enrol_date": day(door, ago), "consent_date": day(door, ago), "subject_code": code}
    redcap.save(record, "screening_arm_1", "enrolment", **fields)


def save_visit(door: Door, redcap: RedcapStandIn, event: str, ago: int, **changes: str) -> dict[str, str]:
    fields = {"visit_by": "crc-01", "visit_date": day(door, ago), "plt": "41"} | changes
    return redcap.save("7", event, "visit", **fields)


def test_a_form_saved_while_the_service_is_down_is_caught_up_when_it_starts(
    tmp_path: Path, redcap: RedcapStandIn
) -> None:
    with served(tmp_path, **settings_for(redcap)) as door:
        enrolled(settled(door), redcap)
    form = save_visit(door, redcap, "inf_1_arm_1", 1)
    with served(tmp_path, **settings_for(redcap)) as door:
        wait_until(lambda: len(facts(door)) == 2, "the visit to be caught up")
        # The one that catches up may have the form's turn for a moment still.
        wait_until(lambda: triggered(door, form)["results"], "the form's turn to end")
        assert [result["outcome"] for result in triggered(door, form)["results"]] == ["known"]
        wait_until(lambda: left(door) == [], "nothing to be left")
        assert len(facts(door)) == 2


def test_what_was_saved_meanwhile_is_recorded_in_the_order_of_its_days(
    door: Door, redcap: RedcapStandIn
) -> None:
    save_visit(door, redcap, "inf_2_arm_1", 1)
    save_visit(door, redcap, "inf_1_arm_1", 8, subject_code="ITP-001")
    save_enrolment(door, redcap)
    assert {form.event for form in caught(door).forms} == {"inf_2_arm_1", "inf_1_arm_1", "screening_arm_1"}
    assert [getattr(data, "visit", "") for data in facts(door)] == ["", "INF1", "INF2"]
    assert left(door) == []


def test_what_says_nothing_new_costs_one_request_for_many_records(door: Door, redcap: RedcapStandIn) -> None:
    for number in range(1, 13):
        save_enrolment(door, redcap, f"{number}", f"ITP-{number:03}")
    assert len(caught(door).forms) == 12
    redcap.asked.clear()
    again = caught(door)
    assert (len(again.records), again.forms) == (12, {})
    assert [asked["content"] for asked in redcap.asked if asked["content"] != "log"] == [
        "project",
        "record",
        "record",
    ]


def test_lines_that_were_caught_up_are_not_looked_at_again(door: Door, redcap: RedcapStandIn) -> None:
    save_enrolment(door, redcap)
    seen = caught(door).lines
    redcap.asked.clear()
    assert caught(door, seen=seen).records == ()
    assert {asked["content"] for asked in redcap.asked} == {"log"}
    save_visit(door, redcap, "inf_1_arm_1", 1)
    assert [form.instrument for form in caught(door, seen=seen).forms] == ["visit"]


def test_a_form_that_nobody_ever_saved_or_that_is_incomplete_states_nothing(
    door: Door, redcap: RedcapStandIn
) -> None:
    save_enrolment(door, redcap)
    redcap.save("7", "inf_1_arm_1", "visit", complete="1", visit_by="crc-01")
    assert [form.instrument for form in caught(door).forms] == ["enrolment"]
    assert left(door) == []


def test_each_repetition_is_caught_up_under_the_name_that_its_trigger_gives(
    door: Door, redcap: RedcapStandIn
) -> None:
    save_enrolment(door, redcap)
    fields = {"ae_by": "crc-01", "ae_grade": "1", "ae_serious": "0", "ae_related": "0", "ae_term": "rash"}
    triggers = [
        redcap.save(
            "7",
            "screening_arm_1",
            "adverse_event",
            instance=each,
            ae_onset=day(door, 2),
            ae_number=each,
            **fields,
        )
        for each in ("1", "2")
    ]
    caught(door)
    assert [data.ae for data in facts(door)[1:]] == ["1", "2"]
    for form in triggers:
        assert [result["outcome"] for result in triggered(door, form)["results"]] == ["known"]


def test_a_form_that_its_trigger_calls_a_first_repetition_is_the_same_form(
    door: Door, redcap: RedcapStandIn
) -> None:
    save_enrolment(door, redcap)
    form = save_visit(door, redcap, "inf_1_arm_1", 1)
    caught(door)
    known = triggered(door, form | {"redcap_repeat_instance": "1"})["results"]
    assert [result["outcome"] for result in known] == ["known"]
    changed = save_visit(door, redcap, "inf_1_arm_1", 1, plt="14") | {"redcap_repeat_instance": "1"}
    triggered(door, changed)
    assert [data.platelets for data in facts(door)[1:]] == [14]
    assert caught(door).forms == {}


def test_a_record_that_was_renamed_or_deleted_meanwhile_says_nothing_new(
    door: Door, redcap: RedcapStandIn
) -> None:
    enrolled(door, redcap)
    visited(door, redcap)
    redcap.rename("7", "007")
    save_enrolment(door, redcap, "8", "ITP-008")
    redcap.delete("8")
    assert caught(door).forms == {}
    assert len(facts(door)) == 2
    assert left(door) == []


@pytest.mark.parametrize("hours", [-12, 0, 14])
def test_the_first_look_sees_the_last_day_in_whatever_zone_redcap_is(
    tmp_path: Path, redcap: RedcapStandIn, hours: int
) -> None:
    redcap.ahead = timedelta(hours=hours)
    with served(tmp_path / "other", **settings_for(redcap)) as door:
        redcap.at = door.now - timedelta(hours=23)
        save_enrolment(settled(door), redcap)
        redcap.at = None
    with served(tmp_path / "study", **settings_for(redcap)) as door:
        wait_until(lambda: len(facts(door)) == 1, "the enrolment of yesterday to be caught up")


def test_a_clock_that_goes_back_an_hour_hides_no_form(door: Door, redcap: RedcapStandIn) -> None:
    save_enrolment(door, redcap)
    caught(door)
    redcap.ahead -= timedelta(hours=1)
    save_visit(door, redcap, "inf_1_arm_1", 1)
    assert [form.instrument for form in caught(door).forms] == ["visit"]


def test_a_look_that_fails_is_repeated_from_the_same_place(door: Door, redcap: RedcapStandIn) -> None:
    redcap.at = door.now - timedelta(days=3)
    save_enrolment(door, redcap)
    redcap.at = None
    redcap.down = True
    for _ in range(2):
        with pytest.raises(RedcapSilent):
            caught(door, since=f"{redcap.now - timedelta(days=4):%Y-%m-%d %H:%M}")
    redcap.down = False
    assert caught(door).forms == {}, "the log of the last day does not tell of it"
    assert len(caught(door, since=f"{redcap.now - timedelta(days=4):%Y-%m-%d %H:%M}").forms) == 1


def test_a_piece_of_the_log_that_is_too_long_is_read_in_halves(
    door: Door, redcap: RedcapStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MOST_BYTES_OF_MANY", 6000)
    for hours in range(23):
        redcap.at = door.now - timedelta(hours=hours)
        save_enrolment(door, redcap, f"{hours}", f"ITP-{hours:03}")
    monkeypatch.setattr(catching, "RECORDS_AT_ONCE", 2)
    assert len(caught(door).records) == 23


def test_without_the_right_to_read_the_log_triggers_work_and_somebody_is_told(
    tmp_path: Path, redcap: RedcapStandIn
) -> None:
    redcap.rights.logging = False
    with served(tmp_path, **settings_for(redcap)) as door:
        wait_until(lambda: open_troubles(door.study.store), "the trouble to be kept")
        [trouble] = open_troubles(door.study.store)
        assert trouble.about == "redcap"
        assert "REDCap answers 403" in trouble.what
        assert len(enrolled(door, redcap)["results"]) == 1
        redcap.rights.logging = True
        assert door.project is not None
        door.project.gate.lift()
    with served(tmp_path, **settings_for(redcap)) as door:
        wait_until(lambda: not open_troubles(door.study.store), "the trouble to be settled")


def test_a_form_that_redcap_does_not_give_at_that_moment_is_kept_and_asked_for_again(
    door: Door, redcap: RedcapStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_enrolment(door, redcap)
    once = iter([True])

    def export(*given: Any, **how: Any) -> Any:
        if next(once, False):
            raise RedcapSilent("REDCap does not answer")
        return given

    with monkeypatch.context() as silent:
        silent.setattr(client.Redcap, "export", export)
        assert len(caught(door).forms) == 1
    assert left(door) == ["REDCap does not answer"]
    again(door)
    assert len(facts(door)) == 1
    assert left(door) == []


def test_a_redcap_that_says_no_project_is_not_guessed(door: Door, redcap: RedcapStandIn) -> None:
    save_enrolment(door, redcap)
    redcap.raw = Raw(b"[]")
    assert caught(door).records == ()
    redcap.raw = None
    assert len(caught(door).forms) == 1
