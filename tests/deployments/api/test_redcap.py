"""REDCap as a door: the trigger names a form, the form is fetched, mapped and recorded."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from deployments.api.redcap.again import fetch_again
from deployments.api.redcap.mapping import load_mapping
from itp_events.errors import BadInput
from itp_events.subject import standing
from tasks.leftovers import open_leftovers
from tasks.queries import history
from tests.support.api import Door, served
from tests.support.redcap import TOKEN, Form, RedcapStandIn

EXAMPLE = Path(__file__).parents[3] / "examples" / "redcap.yaml"
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


@pytest.fixture
def redcap() -> Iterator[RedcapStandIn]:
    with RedcapStandIn() as redcap:
        yield redcap


@pytest.fixture
def door(tmp_path: Path, redcap: RedcapStandIn) -> Iterator[Door]:
    settings = {
        "redcap_url": redcap.url,
        "redcap_token": TOKEN,
        "redcap_mapping": EXAMPLE,
        "redcap_key": "k" * 20,
    }
    with served(tmp_path, **settings) as door:
        yield door


def triggered(door: Door, form: dict[str, str], key: str = "k" * 20) -> Any:
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
    return [event.data for event in standing(history(door.study.store, "ITP-001"))]


def test_a_saved_form_is_fetched_mapped_and_recorded(door: Door, redcap: RedcapStandIn) -> None:
    answer = enrolled(door, redcap)
    assert [result["status"] for result in answer["results"]] == [201]
    assert visited(door, redcap)["results"][0]["state"] == "Awaiting INF2"
    enrolment, visit = facts(door)
    assert (enrolment.screening.sex, enrolment.weight_kg) == ("female", 61.5)
    assert (visit.visit, visit.platelets) == ("INF1", 41)
    assert redcap.asked[0]["records[0]"] == "7"
    assert open_leftovers(door.study.store) == []


def test_the_same_form_saved_again_counts_once(door: Door, redcap: RedcapStandIn) -> None:
    enrolled(door, redcap)
    assert [result["outcome"] for result in enrolled(door, redcap)["results"]] == ["known"]
    assert len(facts(door)) == 1


def test_a_changed_form_voids_what_it_stated_and_states_it_anew(door: Door, redcap: RedcapStandIn) -> None:
    enrolled(door, redcap)
    for platelets in ("41", "14", "41"):
        assert {result["status"] for result in visited(door, redcap, plt=platelets)["results"]} == {201}
    assert [data.platelets for data in facts(door)[1:]] == [41]
    assert sum(event.type == "itp.event.voided" for event in history(door.study.store, "ITP-001")) == 2


def test_what_the_mapping_does_not_know_is_kept_and_shown(door: Door, redcap: RedcapStandIn) -> None:
    answer = enrolled(door, redcap, sex="7")
    assert answer["left"] == ["sex: '7' cannot be mapped as text"]
    answer = triggered(door, redcap.save("7", "screening_arm_1", "lab_values", hb="12"))
    assert answer["left"] == ["the mapping does not know this instrument"]
    shown = {row["about"]: row["body"] for row in door.get("/leftovers").json()}
    assert shown["42/7/screening_arm_1/lab_values"]["hb"] == "12"
    assert shown["42/7/screening_arm_1/enrolment"]["sex"] == "7"


def test_a_field_without_a_place_is_kept_beside_the_recorded_event(door: Door, redcap: RedcapStandIn) -> None:
    answer = enrolled(door, redcap, spleen_cm="14")
    assert answer["results"][0]["status"] == 201
    assert answer["left"] == ["spleen_cm: no place in the mapping"]


def test_what_the_study_refuses_is_kept_with_its_sentence(door: Door, redcap: RedcapStandIn) -> None:
    enrolled(door, redcap)
    answer = visited(door, redcap, "inf_3_arm_1")
    assert answer["left"] == ["INF3 cannot be recorded before INF2 is completed or missed"]


def test_a_form_that_comes_through_later_is_no_longer_left(door: Door, redcap: RedcapStandIn) -> None:
    enrolled(door, redcap, sex="7")
    enrolled(door, redcap, sex="2")
    assert open_leftovers(door.study.store) == []


def test_a_form_that_is_not_complete_states_nothing(door: Door, redcap: RedcapStandIn) -> None:
    form = redcap.save("7", "screening_arm_1", "enrolment", complete="0", **ENROLMENT)
    assert triggered(door, form) == {"form": "42/7/screening_arm_1/enrolment", "results": [], "left": []}


def test_a_trigger_is_kept_while_redcap_is_down(door: Door, redcap: RedcapStandIn) -> None:
    redcap.down = True
    assert "REDCap answers 503" in enrolled(door, redcap)["left"][0]
    redcap.down = False
    enrolled(door, redcap)
    assert open_leftovers(door.study.store) == []


def test_a_form_that_redcap_did_not_give_is_fetched_again(door: Door, redcap: RedcapStandIn) -> None:
    redcap.down = True
    enrolled(door, redcap)
    since = [each.at for each in open_leftovers(door.study.store)]
    again(door)
    assert [each.at for each in open_leftovers(door.study.store)] == since
    redcap.down = False
    again(door)
    assert len(facts(door)) == 1
    assert open_leftovers(door.study.store) == []


def again(door: Door) -> None:
    assert door.parts.redcap is not None
    fetch_again(door.parts, door.parts.redcap)


def test_an_answer_that_holds_no_records_is_kept(door: Door, redcap: RedcapStandIn) -> None:
    redcap.answers = {"error": "none"}
    assert enrolled(door, redcap)["left"] == ["REDCap's answer holds no records; see ITP_REDCAP_URL"]


def test_the_subjects_code_may_stand_in_the_records_first_form_alone(
    door: Door, redcap: RedcapStandIn
) -> None:
    enrolled(door, redcap)
    on = f"{door.now - timedelta(days=1):%Y-%m-%d}"
    form = redcap.save("7", "inf_1_arm_1", "visit", visit_by="crc-01", visit_date=on)
    assert triggered(door, form)["results"][0]["subject"] == "ITP-001"


def test_each_repetition_of_a_form_is_an_event_of_its_own(door: Door, redcap: RedcapStandIn) -> None:
    enrolled(door, redcap)
    fields = {"ae_by": "crc-01", "ae_grade": "1", "ae_serious": "0", "ae_related": "0"}
    fields["ae_onset"] = f"{door.now - timedelta(days=1):%Y-%m-%d}"
    for instance in ("1", "2"):
        numbered = fields | {"ae_number": f"AE-{instance}", "ae_term": "rash"}
        form = redcap.save("7", "screening_arm_1", "adverse_event", instance=instance, **numbered)
        assert triggered(door, form)["results"][0]["status"] == 201
    assert [data.ae for data in facts(door)[1:]] == ["AE-1", "AE-2"]


def test_a_form_whose_subject_was_wrong_is_taken_from_that_one(door: Door, redcap: RedcapStandIn) -> None:
    enrolled(door, redcap)
    door.enrol("ITP-002")
    visited(door, redcap, subject_code="ITP-002")
    assert {result["status"] for result in visited(door, redcap)["results"]} == {201}
    assert [data.visit for data in facts(door)[1:]] == ["INF1"]
    assert len(standing(history(door.study.store, "ITP-002"))) == 1


def test_of_a_form_saved_twice_in_a_moment_the_newer_look_counts(door: Door, redcap: RedcapStandIn) -> None:
    enrolled(door, redcap)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda platelets: visited(door, redcap, plt=f"{platelets}"), range(8)))
    stands = redcap.forms["7"][Form("inf_1_arm_1", "visit", "")]["plt"]
    assert [data.platelets for data in facts(door)[1:]] == [float(stands)]
    assert open_leftovers(door.study.store) == []


def test_a_page_of_another_site_triggers_nothing(door: Door, redcap: RedcapStandIn) -> None:
    form = redcap.save("7", "screening_arm_1", "enrolment", **ENROLMENT)
    asked = {"params": {"key": "k" * 20}, "data": form, "headers": {"Origin": "https://elsewhere.example"}}
    assert door.client.post("/redcap", **asked).status_code == 403  # type: ignore[arg-type]
    assert redcap.asked == []


def test_a_trigger_needs_the_key(door: Door, redcap: RedcapStandIn) -> None:
    form = redcap.save("7", "screening_arm_1", "enrolment", **ENROLMENT)
    assert door.client.post("/redcap", data=form).status_code == 401
    assert door.client.post("/redcap", params={"key": "guess"}, data=form).status_code == 401
    assert redcap.asked == []


@pytest.mark.parametrize("form", [{}, {"record": "7"}, {"project_id": "42", "record": "7"}])
def test_what_is_no_trigger_is_malformed(door: Door, form: dict[str, str]) -> None:
    assert door.client.post("/redcap", params={"key": "k" * 20}, data=form).status_code == 422


@pytest.mark.parametrize(
    "text",
    [
        "instruments: {a: {event: itp.withdrawal.decided, data: {}}}",
        "instruments: {a: {event: x, data: {}}}",
        "colour: red",
        "[",
        "instruments: {a: {event: itp.subject.died, data: {on: {as: moon}}}}",
    ],
)
def test_a_wrong_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mapping.yaml"
    path.write_text(text)
    with pytest.raises(BadInput, match=r"mapping\.yaml"):
        load_mapping(path)
