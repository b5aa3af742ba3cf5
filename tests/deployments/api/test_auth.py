"""Who may ask: tokens with roles, stored hashed; without any, this machine alone."""

import hashlib
import logging
from pathlib import Path

import pytest

from deployments.api.http.tokens import Role, Tokens, new_token
from deployments.api.serve import Api
from deployments.bootstrap.settings import Settings
from deployments.bootstrap.study import open_study
from itp_events.errors import BadInput
from tests.support.api import Door, enrolment, event, served

pytestmark = pytest.mark.requirement("SEC-01")

READER_PATHS = ["/subjects", "/subjects/ITP-001", "/subjects/ITP-001/plan", "/agenda.ics", "/metrics"]


def decision(door: Door) -> dict[str, object]:
    data = {"decision": "withdraw", "reason": "her wish", "on": f"{door.now:%Y-%m-%d}"}
    return event("withdrawal.decided", "ITP-001", door.now, data)


def test_without_tokens_this_machine_records_but_decides_nothing(door: Door) -> None:
    door.enrol()
    answer = door.post(decision(door))
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:itp:problem:role")


def test_without_tokens_a_name_that_leads_here_from_elsewhere_is_refused(door: Door) -> None:
    for name in ("rebound.example", "127.0.0.1.rebound.example", "testclient", "localhost@rebound.example"):
        assert door.get("/subjects", headers={"Host": name}).status_code == 403


def test_without_tokens_the_api_does_not_open_to_the_network(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, api_host="0.0.0.0", api_port=0)
    study = open_study(settings)
    with pytest.raises(BadInput, match="this machine alone"):
        Api(settings, study)
    study.store.close()


@pytest.mark.parametrize("path", READER_PATHS)
def test_with_tokens_nobody_reads_without_one(door: Door, path: str) -> None:
    door.enrol()
    reader = door.token("reader")
    refused = door.get(path)
    assert (refused.status_code, refused.json()["type"]) == (401, "urn:itp:problem:token")
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert door.get(path, headers=reader).status_code == 200


@pytest.mark.parametrize(("role", "status"), [("reader", 403), ("recorder", 201), ("investigator", 201)])
def test_a_reader_records_nothing(door: Door, role: Role, status: int) -> None:
    answer = door.post(enrolment("ITP-001", door.now), headers=door.token(role))
    assert answer.status_code == status


def test_only_an_investigator_decides(door: Door) -> None:
    door.enrol()
    recorder, investigator = door.token("recorder"), door.token("investigator")
    stated = decision(door)
    assert door.post(stated, headers=recorder).status_code == 403
    assert door.post([stated], headers=recorder).json()[0]["status"] == 403
    assert door.post(stated, headers=investigator).status_code == 201


def test_only_an_investigator_assesses_a_deviation(door: Door) -> None:
    door.enrol()
    recorder, investigator = door.token("recorder"), door.token("investigator")
    missed = event("visit.missed", "ITP-001", door.now, {"visit": "INF1", "reason": "fever"})
    assert door.post(missed, headers=recorder).status_code == 201
    assessment = {"deviation": "ITP-001/INF1/missed", "important": False, "cause": "fever"}
    stated = event("deviation.assessed", "ITP-001", door.now, assessment)
    refused = door.post(stated, headers=recorder)
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:itp:problem:role")
    assert "may state itp.deviation.assessed" in refused.json()["detail"]
    assert door.post(stated, headers=investigator).status_code == 201
    [deviation] = door.get("/subjects/ITP-001/plan", headers=recorder).json()["deviations"]
    assert (deviation["important"], deviation["assessed"]["cause"]) == (False, "fever")


def test_an_assessment_of_no_deviation_is_refused_by_the_study_s_order(door: Door) -> None:
    door.enrol()
    stated = event("deviation.assessed", "ITP-001", door.now, {"deviation": "none", "important": False})
    refused = door.post(stated, headers=door.token("investigator"))
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:itp:problem:deviation")


def test_only_an_investigator_takes_a_decision_back(door: Door) -> None:
    door.enrol()
    recorder, investigator = door.token("recorder"), door.token("investigator")
    stated = decision(door)
    assert door.post(stated, headers=investigator).status_code == 201
    named = {"event": {"source": "test", "id": stated["id"]}, "reason": "not meant so"}
    void = event("event.voided", "ITP-001", door.now, named)
    assert door.post(void, headers=recorder).status_code == 403
    assert door.post(void, headers=investigator).status_code == 201


def test_a_calendar_program_gives_the_token_as_a_password(door: Door) -> None:
    token = door.token("reader")["Authorization"].removeprefix("Bearer ")
    assert door.get("/agenda.ics", auth=("anything", token)).status_code == 200
    assert door.get("/agenda.ics", auth=("anything", "guess")).status_code == 401


def test_a_calendar_program_is_asked_for_a_password_and_nobody_else_is(door: Door) -> None:
    door.token("reader")
    assert "Basic" in door.get("/agenda.ics").headers["www-authenticate"]
    assert "Basic" not in door.get("/subjects").headers["www-authenticate"]


@pytest.mark.requirement("SEC-04")
def test_a_refusal_is_logged_without_the_token(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    reader = door.token("reader")
    with caplog.at_level(logging.WARNING, "deployments.api"):
        door.get("/subjects", headers={"Authorization": "Bearer itp_guess"})
        door.post(enrolment("ITP-001", door.now), headers=reader)
        door.post([decision(door)], headers=door.token("recorder"))
    assert "only an investigator may state itp.withdrawal.decided" in caplog.text
    assert "401 GET /subjects from 127.0.0.1" in caplog.text
    assert "403 POST /events from 127.0.0.1" in caplog.text
    assert "itp_guess" not in caplog.text
    assert reader["Authorization"].removeprefix("Bearer ") not in caplog.text


@pytest.mark.requirement("SEC-04")
def test_only_the_hash_of_a_token_is_kept(tmp_path: Path) -> None:
    token, entry = new_token("recorder")
    tokens = Tokens.from_setting("", tmp_path)
    tokens.add(entry, "2026-01-05")
    assert tokens.role_of(token) == "recorder"
    assert token not in (tmp_path / "tokens").read_text()
    assert hashlib.sha256(token.encode()).hexdigest() in (tmp_path / "tokens").read_text()
    assert (tmp_path / "tokens").stat().st_mode & 0o077 == 0


def test_losing_the_tokens_lets_nobody_in(door: Door) -> None:
    reader = door.token("reader")
    assert door.get("/subjects", headers=reader).status_code == 200
    file = door.settings.data_dir / "tokens"
    file.write_text("reader:nonsense\n")
    assert door.get("/subjects", headers=reader).status_code == 500
    file.unlink()
    assert door.get("/subjects").status_code == 401
    assert door.get("/subjects", headers=door.token("reader")).status_code == 200


def test_tokens_may_stand_in_the_setting_itself(tmp_path: Path) -> None:
    (reader, one), (investigator, other) = new_token("reader"), new_token("investigator")
    with served(tmp_path, api_tokens=f"{one},{other}") as door:
        assert door.get("/subjects", headers={"Authorization": f"Bearer {reader}"}).status_code == 200
        assert door.get("/subjects", headers={"Authorization": f"bearer {investigator}"}).status_code == 200
        assert door.get("/subjects").status_code == 401


@pytest.mark.parametrize(
    "value", ["reader:abc", "reader:" + "g" * 64, "king:" + "a" * 64, "/nonexistent/file"]
)
def test_tokens_that_cannot_be_read_stop_the_service(tmp_path: Path, value: str) -> None:
    with pytest.raises(BadInput):
        Tokens.from_setting(value, tmp_path)
