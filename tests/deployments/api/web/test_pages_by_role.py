"""Each page by role, and the doors of the pages: sign-in, other sites, other sessions."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.api.http.tokens import Role
from tasks.database.queries import history
from tests.support.api import Door, served
from tests.support.pages import Person, person, said, visitor

pytestmark = pytest.mark.requirement("PAG-01")

PAGES = ("/today", "/find", "/deviations", "/s/ITP-001", "/s/ITP-001/paper", "/s/ITP-001/decide")
FORMS = ("/enrol", "/s/ITP-001/book", "/s/ITP-001/done", "/s/ITP-001/correct/1")


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with served(Path(tmp_path_factory.mktemp("pages")) / "data") as door:
        door.enrol("ITP-001", 3)
        yield door


@pytest.mark.parametrize("role", ["reader", "recorder", "investigator"])
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_each_page_opens_for_each_role_in_each_language(door: Door, role: Role, language: str) -> None:
    who = person(door, role, language=language)
    for path in PAGES:
        assert f'<html lang="{language}">' in who.open(path)
    for path in FORMS:
        answer = who.client.get(path)
        assert answer.status_code == (403 if role == "reader" else 200), (path, said(answer))


def test_nobody_sees_a_page_without_signing_in(door: Door) -> None:
    person(door, "reader")
    for path in (*PAGES, *FORMS):
        answer = visitor(door).get(path)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in?to=")
        assert "ITP-001" not in answer.text


def test_a_token_that_is_not_known_lets_nobody_in(door: Door) -> None:
    who = person(door, "recorder")
    stranger = Person(visitor(door), "crc.x", "itp_wrong")
    assert stranger.sign_in().status_code == 422
    assert stranger.client.get("/today").status_code == 303
    assert who.client.get("/today").status_code == 200


def test_the_session_s_cookie_is_read_by_no_script_and_sent_by_no_form_of_another_site(door: Door) -> None:
    who = Person(visitor(door), "crc.li", door.token("recorder")["Authorization"].removeprefix("Bearer "))
    [cookie] = [each for each in who.sign_in().headers.get_list("set-cookie") if "itp_session=" in each]
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {each.strip() for each in cookie.split(";")}


@pytest.mark.parametrize("role", ["recorder", "investigator"])
def test_opening_pages_changes_nothing(door: Door, role: Role) -> None:
    who = person(door, role)
    before = history(door.study.store, "ITP-001")
    for path in (*PAGES, *FORMS, "/s/ITP-001/sign/1", "/review", "/duty", "/decide/ITP-001"):
        who.client.get(path)
    assert history(door.study.store, "ITP-001") == before


def test_sign_in_leads_to_no_other_site(door: Door) -> None:
    who = person(door, "recorder")
    for target in ("https://evil.example/", "//evil.example", "/\\evil.example", ""):
        sent = {"code": who.code, "token": who.token, "to": target}
        assert who.client.post("/sign-in", data=sent).headers["location"] == "/"


def test_a_form_of_another_session_or_site_records_nothing(door: Door) -> None:
    first, second = person(door, "recorder"), person(door, "recorder", "crc.he")
    first.open("/s/ITP-001/contact")
    second.last = first.last
    on = f"{door.now.date()}"
    assert second.again("/s/ITP-001/contact", on=on, reached="no").status_code == 403
    foreign = first.client.post(
        "/s/ITP-001/contact",
        data=first.last | {"on": on, "reached": "no"},
        headers={"Origin": "https://evil.example"},
    )
    assert foreign.status_code == 403
    assert "Contact attempt:" not in first.open("/s/ITP-001")


def test_signing_out_ends_the_session_and_clears_the_device(door: Door) -> None:
    who = person(door, "recorder")
    who.open("/today")
    answer = who.again("/sign-out")
    assert answer.headers["clear-site-data"] == '"cache", "storage"'
    assert who.client.get("/today").status_code == 303


def test_a_changed_cookie_is_no_session(door: Door) -> None:
    who = person(door, "recorder")
    kept = who.client.cookies["itp_session"]
    who.client.cookies.clear()
    who.client.cookies["itp_session"] = kept[:-1] + ("0" if kept[-1] != "0" else "1")
    assert who.client.get("/today").status_code == 303


def test_a_page_allows_no_script_but_its_own_and_no_frame(door: Door) -> None:
    answer = person(door, "reader").client.get("/today")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert " style=" not in answer.text
    assert "<style" not in answer.text
    assert "onclick" not in answer.text


def test_an_unknown_subject_is_a_sentence(door: Door) -> None:
    answer = person(door, "reader", language="zh-CN").client.get("/s/ITP-999")
    assert answer.status_code == 404
    assert "没有此代码的受试者" in said(answer)


def test_the_code_to_scan_holds_the_address_alone(door: Door) -> None:
    page = person(door, "reader").open("/s/ITP-001/paper")
    assert "<svg" in page
    assert f"{door.api.links.base}/s/ITP-001" in page


def test_pages_are_not_in_the_openapi_document(door: Door) -> None:
    paths = door.get("/openapi.json", headers=door.token("reader")).json()["paths"]
    assert not any(path.startswith(("/s/", "/today", "/sign-", "/enrol", "/web", "/n/")) for path in paths)
