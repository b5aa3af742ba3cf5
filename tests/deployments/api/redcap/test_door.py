"""REDCap as a door: the trigger names a form, the form is fetched, mapped and recorded."""

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from deployments.api.redcap import client
from deployments.api.redcap.client import MOST_BYTES
from deployments.api.redcap.form import TURN, receive
from deployments.api.redcap.rows import SavedForm
from itp_events.rules.subject import not_voided
from tasks.database.dead_letters import open_dead_letters
from tasks.database.queries import history
from tasks.database.redcap import end_turn, take_turn
from tasks.limits import REDCAP_FETCHERS
from tests.deployments.api.redcap.coordinator import (
    ENROLMENT,
    KEY,
    again,
    enrolled,
    facts,
    settings_for,
    settled,
    triggered,
    visited,
)
from tests.support.api import Door, served
from tests.support.redcap import TOKEN, Form, Raw, RedcapStandIn
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("API-03")


def test_a_saved_form_is_fetched_mapped_and_recorded(door: Door, redcap: RedcapStandIn) -> None:
    answer = enrolled(door, redcap)
    assert [result["status"] for result in answer["results"]] == [201]
    assert visited(door, redcap)["results"][0]["state"] == "Awaiting INF2"
    enrolment, visit = facts(door)
    assert (enrolment.screening.sex, enrolment.weight_kg) == ("female", 61.5)
    assert (visit.visit, visit.platelets) == ("INF1", 41)
    assert redcap.exports[0]["records[0]"] == "7"
    assert open_dead_letters(door.study.store) == []


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
    assert open_dead_letters(door.study.store) == []


def test_a_form_that_is_not_complete_states_nothing(door: Door, redcap: RedcapStandIn) -> None:
    form = redcap.save("7", "screening_arm_1", "enrolment", complete="0", **ENROLMENT)
    assert triggered(door, form) == {"form": "42/7/screening_arm_1/enrolment", "results": [], "left": []}


def test_a_trigger_is_kept_while_redcap_is_down(door: Door, redcap: RedcapStandIn) -> None:
    redcap.down = True
    assert "REDCap answers 503" in enrolled(door, redcap)["left"][0]
    redcap.down = False
    enrolled(door, redcap)
    assert open_dead_letters(door.study.store) == []


def test_a_form_that_redcap_did_not_give_is_fetched_again(door: Door, redcap: RedcapStandIn) -> None:
    redcap.down = True
    enrolled(door, redcap)
    since = [each.at for each in open_dead_letters(door.study.store)]
    again(door)
    assert [each.at for each in open_dead_letters(door.study.store)] == since
    redcap.down = False
    again(door)
    assert len(facts(door)) == 1
    assert open_dead_letters(door.study.store) == []


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
    assert len(not_voided(history(door.study.store, "ITP-002"))) == 1


def test_of_a_form_saved_twice_in_a_moment_the_newer_look_counts(door: Door, redcap: RedcapStandIn) -> None:
    enrolled(door, redcap)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda platelets: visited(door, redcap, plt=f"{platelets}"), range(8)))
    stands = redcap.forms["7"][Form("inf_1_arm_1", "visit", "")]["plt"]
    assert [data.platelets for data in facts(door)[1:]] == [float(stands)]
    assert open_dead_letters(door.study.store) == []


def test_a_form_saved_while_another_process_takes_it_is_looked_at_once_more_by_that_one(
    tmp_path: Path, redcap: RedcapStandIn, postgresql_url: str
) -> None:
    settings = settings_for(redcap, database_url=postgresql_url)
    with served(tmp_path / "one", **settings) as one, served(tmp_path / "two", **settings) as two:
        enrolled(settled(one), redcap)
        with ThreadPoolExecutor(1) as pool:
            for older, newer in (("41", "14"), ("23", "32")):
                redcap.holds, redcap.asked = threading.Event(), []
                slower = pool.submit(visited, one, redcap, plt=older)
                wait_until(lambda: redcap.exports, "the first to have looked at the form")
                assert visited(two, redcap, plt=newer)["left"] == ["waits to be fetched: it is being fetched"]
                redcap.holds.set()
                assert slower.result()["left"] == []
                assert [data.platelets for data in facts(one)[1:]] == [float(newer)]
                assert open_dead_letters(one.study.store) == []
        ids = [event.id for event in history(one.study.store, "ITP-001") if event.source == "redcap"]
        assert [each for each in ids if "visit#" in each and "~" not in each] == [
            f"42/7/inf_1_arm_1/visit#{number}" for number in (1, 2, 3, 4)
        ]


def test_the_turn_of_a_process_that_died_goes_to_another(door: Door, redcap: RedcapStandIn) -> None:
    enrolled(door, redcap)
    form, now = "42/7/inf_1_arm_1/visit", door.study.wall()
    assert take_turn(door.study.store, form, "one that lives", now, now + TURN)
    assert visited(door, redcap)["left"] == ["waits to be fetched: it is being fetched"]
    end_turn(door.study.store, form, "one that lives")
    assert take_turn(door.study.store, form, "one that died", now - 2 * TURN, now - TURN)
    again(door)
    assert [data.visit for data in facts(door)[1:]] == ["INF1"]
    assert open_dead_letters(door.study.store) == []


def test_a_page_of_another_site_triggers_nothing(door: Door, redcap: RedcapStandIn) -> None:
    form = redcap.save("7", "screening_arm_1", "enrolment", **ENROLMENT)
    asked = {"params": {"key": KEY}, "data": form, "headers": {"Origin": "https://elsewhere.example"}}
    assert door.client.post("/redcap", **asked).status_code == 403  # type: ignore[arg-type]
    assert redcap.exports == []


def test_a_trigger_needs_the_key(door: Door, redcap: RedcapStandIn) -> None:
    form = redcap.save("7", "screening_arm_1", "enrolment", **ENROLMENT)
    assert door.client.post("/redcap", data=form).status_code == 401
    assert door.client.post("/redcap", params={"key": "guess"}, data=form).status_code == 401
    assert redcap.exports == []


@pytest.mark.parametrize("form", [{}, {"record": "7"}, {"project_id": "42", "record": "7"}])
def test_what_is_no_trigger_is_malformed(door: Door, form: dict[str, str]) -> None:
    assert door.client.post("/redcap", params={"key": KEY}, data=form).status_code == 422


ODD_ANSWERS = {
    "deep": Raw(b"[" * 200_000 + b"]" * 200_000),
    "half a character": Raw(b'[{"record_id": "7", "sex": "\\ud800"}]'),
    "a field twice": Raw(b'[{"record_id": "7", "record_id": "8"}]'),
    "no number": Raw(b'[{"record_id": NaN}]'),
    "a number without end": Raw(b'[{"record_id": ' + b"9" * 5000 + b"}]"),
    "not flat": Raw(b'[{"record_id": {"a": 1}, "sex": [1]}]'),
    "no text": Raw(b"\xff\xfe"),
    "nothing": Raw(b""),
    "too long": Raw(b'[{"record_id": "' + b"x" * MOST_BYTES + b'"}]'),
    "compressed": Raw(gzip.compress(b"[" + b" " * 10_000_000 + b"]"), headers={"Content-Encoding": "gzip"}),
    "elsewhere": Raw(b"", 302, {"Location": "http://127.0.0.1:9/"}),
    "the token": Raw(f"bad token\x1b[31m: {TOKEN}".encode(), 403),
    "the token as a record": Raw(f'{{"token": "{TOKEN}"}}'.encode()),
}


@pytest.mark.parametrize("raw", ODD_ANSWERS.values(), ids=ODD_ANSWERS)
def test_whatever_redcap_answers_the_form_is_asked_for_again(
    door: Door, redcap: RedcapStandIn, raw: Raw
) -> None:
    redcap.raw = raw
    [problem] = enrolled(door, redcap)["left"]
    assert problem.startswith("REDCap")
    assert problem.isprintable()
    shown = door.get("/leftovers")
    assert TOKEN not in shown.text
    assert len(shown.content) < 2000
    redcap.raw = None
    assert door.project is not None
    door.project.gate.lift()
    again(door)
    assert len(facts(door)) == 1
    assert open_dead_letters(door.study.store) == []


def test_a_fault_of_our_own_loses_no_form(
    door: Door, redcap: RedcapStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("deployments.api.redcap.form.read_data", lambda *_: 1 / 0)
        assert enrolled(door, redcap)["left"] == ["the service failed at this form; its log says more"]
    again(door)
    assert len(facts(door)) == 1
    assert open_dead_letters(door.study.store) == []


def test_a_service_that_ends_while_it_fetches_has_written_the_trigger_down(
    door: Door, redcap: RedcapStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(*_: object) -> None:
        raise KeyboardInterrupt

    project = door.project
    assert project is not None
    said = SavedForm("42", "7", "enrolment", "screening_arm_1", "")
    with monkeypatch.context() as ending:
        ending.setattr("deployments.api.redcap.form.take_form", ends)
        with pytest.raises(KeyboardInterrupt):
            receive(door.api, project, said)
    on = f"{door.now - timedelta(days=3):%Y-%m-%d}"
    redcap.save("7", "screening_arm_1", "enrolment", **ENROLMENT, enrol_date=on, consent_date=on)
    again(door)
    assert len(facts(door)) == 1
    assert open_dead_letters(door.study.store) == []


def test_an_answer_that_drips_is_given_up(
    door: Door, redcap: RedcapStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "SECONDS", 0.5)
    redcap.raw = Raw(b" " * 300, drips=True)
    assert enrolled(door, redcap)["left"] == ["REDCap does not answer within 0.5 s"]


def test_a_slow_redcap_stops_no_other_door_and_loses_no_form(door: Door, redcap: RedcapStandIn) -> None:
    on = f"{door.now - timedelta(days=3):%Y-%m-%d}"
    forms = [
        redcap.save(
            f"{number}",
            "screening_arm_1",
            "enrolment",
            **(ENROLMENT | {"subject_code": f"ITP-{number:03}", "enrol_date": on, "consent_date": on}),
        )
        for number in range(60)
    ]
    redcap.holds = threading.Event()
    with ThreadPoolExecutor(len(forms)) as pool:
        answers = [pool.submit(triggered, door, form) for form in forms]
        later = len(forms) - REDCAP_FETCHERS
        wait_until(lambda: sum(answer.done() for answer in answers) == later, "most of them to be put off")
        assert door.get("/subjects", timeout=5).json() == []
        redcap.holds.set()
        assert sum(bool(answer.result()["results"]) for answer in answers) == REDCAP_FETCHERS
    wait_until(lambda: open_dead_letters(door.study.store) == [], "the others to be fetched")
    assert len(door.get("/subjects").json()) == len(forms)


@pytest.mark.parametrize("record", ["r" * 101, "7\x1b]0;x\x07", "7\x00"])
def test_what_redcap_would_not_call_a_record_is_no_trigger(
    door: Door, redcap: RedcapStandIn, record: str
) -> None:
    form = {"project_id": "42", "record": record, "instrument": "visit"}
    answer = door.client.post("/redcap", params={"key": KEY}, data=form)
    assert (answer.status_code, answer.json()["field"]) == (422, "record")
    assert open_dead_letters(door.study.store) == []
    assert redcap.exports == []


def test_the_longest_names_in_redcap_make_ids_that_can_be_recorded(door: Door, redcap: RedcapStandIn) -> None:
    on = f"{door.now - timedelta(days=3):%Y-%m-%d}"
    fields = ENROLMENT | {"enrol_date": on, "consent_date": on}
    for record, platelets in (("r" * 99 + "1", "10"), ("r" * 99 + "2", "20"), ("r" * 99 + "1", "30")):
        coded = fields | {"subject_code": f"ITP-{record[-1]}", "plt": platelets}
        answer = triggered(door, redcap.save(record, "e" * 100, "enrolment", **coded))
        assert {result["status"] for result in answer["results"]} <= {200, 201}, answer


def test_a_record_with_many_fields_without_a_place_leaves_one_thing(
    door: Door, redcap: RedcapStandIn
) -> None:
    answer = enrolled(door, redcap, **{f"field_{number}": "1" for number in range(1000)})
    assert answer["left"] == ["1000 fields: no place in the mapping"]
