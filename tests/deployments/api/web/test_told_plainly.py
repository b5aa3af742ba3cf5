"""A page says to each person what they can do, and why not, in words of the pages and not of programs."""

from datetime import timedelta

import pytest

from tasks.database.queries import all_subjects
from tasks.delivery.links import Matter
from tests.deployments.api.web.test_forms import eligible
from tests.support.api import Door
from tests.support.pages import person, said

pytestmark = pytest.mark.requirement("PAG-01")


@pytest.mark.parametrize(
    ("language", "waits", "barred", "reader_barred"),
    [
        (
            "en",
            "waits for the investigator",
            "Only an investigator can do this; you are signed in as recorder.",
            "Only a recorder or an investigator can do this; you are signed in as reader.",
        ),
        (
            "zh-CN",
            "等待研究者处理",
            "仅研究者可以执行此操作；您当前以记录者身份登录。",
            "仅记录者或研究者可以执行此操作；您当前以查看者身份登录。",
        ),
    ],
)
def test_who_may_not_do_it_is_told_who_may_and_offered_nothing(
    door: Door, language: str, waits: str, barred: str, reader_barred: str
) -> None:
    door.enrol(weight_kg=61.5)
    recorder = person(door, "recorder", language=language)
    investigator = person(door, "investigator", "inv.wu", language)
    day = f"{(door.now - timedelta(days=1)).date()}"
    recorder.answered(recorder.send("/s/ITP-001/done", visit="INF1", on=day, cells_given="3"))
    for path in ("/today", "/deviations", "/s/ITP-001"):
        page = recorder.open(path)
        assert waits in page
        assert "/assess?" not in page
        assert "/assess?" in investigator.open(path)
    assert barred in said(recorder.client.get("/s/ITP-001/assess"))
    reader = person(door, "reader", "crc.he", language)
    assert reader_barred in said(reader.client.get("/s/ITP-001/book"))
    link = door.api.links.open(Matter("ITP-001", None, "flag"), door.now + timedelta(days=1))
    assert waits in recorder.open(link)
    assert "/s/ITP-001/decide" in door.get(link).text


@pytest.mark.parametrize(("language", "reason"), [("en", "2020"), ("zh-CN", "早于签署知情同意的日期")])
def test_a_refused_correction_says_the_reason_alone(door: Door, language: str, reason: str) -> None:
    door.enrol()
    who = person(door, "recorder", language=language)
    day = f"{(door.now - timedelta(days=1)).date()}"
    page = who.answered(who.send("/s/ITP-001/done", visit="INF1", on=day))
    path = next(part.split('"')[0] for part in page.split('href="')[1:] if "/correct/" in part)
    who.open(path)
    answer = who.again(path, visit="INF1", on="2020-01-01", why="typed the wrong day")
    assert answer.status_code == 409
    text = said(answer)
    assert reason in text
    for machine in ("source", "来源", " id ", "编号", who.last["id"]):
        assert machine not in text


@pytest.mark.parametrize(
    ("language", "named", "condition"),
    [
        (
            "en",
            "“Creatinine, × upper limit of normal” or “Creatinine clearance, ml/min” is missing",
            "Pregnancy test (if a woman of childbearing age)",
        ),
        ("zh-CN", "肌酐", "妊娠试验 （育龄女性必填）"),
    ],
)
def test_an_enrolment_names_what_is_missing_as_its_form_does(
    door: Door, language: str, named: str, condition: str
) -> None:
    who = person(door, "recorder", language=language)
    assert condition in said(who.client.get("/enrol"))
    who.open("/enrol")
    values = eligible("ITP-102", f"{(door.now - timedelta(days=1)).date()}", screening__creatinine_x_uln="")
    text = said(who.again("/enrol", **values))
    assert named in text
    assert "_uln" not in text
    assert "_ml_min" not in text


@pytest.mark.parametrize(
    ("language", "told"),
    [("en", "a code has no blanks. Is this a name?"), ("zh-CN", "代码中不得有空格。这是姓名吗？")],
)
@pytest.mark.parametrize("code", ["Zhang San", "Zhang San 1", "张\u3000三"])
def test_a_code_with_a_blank_inside_is_refused_and_not_written_as_one(
    door: Door, language: str, told: str, code: str
) -> None:
    who = person(door, "recorder", language=language)
    who.open("/enrol")
    answer = who.again("/enrol", **eligible(code, f"{(door.now - timedelta(days=1)).date()}"))
    assert answer.status_code == 422
    assert told in said(answer)
    assert all_subjects(door.study.store) == []


@pytest.mark.parametrize(("language", "asked"), [("en", "although it looks early"), ("zh-CN", "虽然偏早")])
def test_a_correction_asks_whether_an_early_date_is_right_only_where_it_looks_early(
    door: Door, language: str, asked: str
) -> None:
    door.enrol(days_ago=30)
    who = person(door, "recorder", language=language)
    ago = {days: f"{(door.now - timedelta(days=days)).date()}" for days in (2, 27, 28, 29)}
    for visit, days in (("INF1", 29), ("INF2", 28), ("INF3", 2)):
        page = who.answered(who.send("/s/ITP-001/done", visit=visit, on=ago[days]))
    path = next(part.split('"')[0] for part in page.split('href="')[1:] if "/correct/" in part)
    assert asked not in who.open(path)
    early = {"visit": "INF3", "on": ago[27], "why": "typed the wrong day"}
    refused = who.again(path, **early)
    assert refused.status_code == 409
    assert asked in said(refused)
    assert "confirmed: true" not in said(refused)
    page = who.answered(who.again(path, **early, confirmed="yes"))
    path = next(part.split('"')[0] for part in page.split('href="')[1:] if "/correct/" in part)
    assert asked in who.open(path)
