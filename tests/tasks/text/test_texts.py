import re
from pathlib import Path
from typing import Any, cast, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import meta

from itp_events.events import Decode, NoticeIssued
from itp_events.protocol.file import load_protocol
from itp_events.rules import eligibility
from tasks.database.contents import OutboxContents
from tasks.text import render as rendering
from tasks.text.criteria_zh import unmet_zh
from tasks.text.render import KEYS, LANGUAGES, Occasion, environment, marked_repeated, render, unmarked
from tasks.text.wording import visit_name
from tests.support import Receiver
from tests.support.study import Study, protocol_in
from tests.tasks.desk import ENROLLED_AT, Desk

pytestmark = pytest.mark.requirement("TXT-01")

SHANGHAI = ZoneInfo("Asia/Shanghai")
TEXTS = Path(rendering.__file__).parent
STEPS = [
    *("T-14d", "T-7d", "T-3d", "T-1d", "T", "last-day", "no-show", "rung-1", "rung-2", "rung-3"),
    *("sae", "sae-20h", "sae-24h", "out-of-window", "infusion-on-hold", "booking-out-of-window"),
    *("eligibility", "dose-deviation", "flag", "decision-1", "decision-12", "treatment-stopped", "exit"),
    *(
        "stand-down",
        "disposition",
        "majority",
        "assent",
        "death-unrecorded",
        "re-consent",
        "cannot-come",
        "channel-dead",
        "digest",
        "trouble",
        "duty-gap",
        "duty-hand-over",
    ),
]
AUDIENCES = ("coordinator", "investigator", "sponsor", "cell-lab")
CONTEXT = {"step", "audience", "subject", "visit", "visit_name", "why", "mark", "t_mark", "row_mark", "fatal"}

DATES = {
    "en": ("Fri 23 Jan 2026", "Thu 29 Jan 2026", "INF2, done on 12 Jan 2026"),
    "zh-CN": ("2026年1月23日（周五）", "2026年1月29日（周四）", "（INF2）的实际日期2026年1月12日（周一）"),
}
FULL: dict[str, Any] = {
    "seal": "seal 12 of 2026-03-01T09:00:00.000000Z: 1:00ff",
    "verified": "2026-03-01T09:00:00.000000Z",
    "findings": 0,
    "visit_label": "Infusion 3",
    "target": "2026-01-26",
    "opens": "2026-01-23",
    "closes": "2026-01-29",
    "t": "2026-01-27",
    "booked": True,
    "anchor_code": "INF2",
    "anchor_label": "Infusion 2",
    "anchor_on": "2026-01-12",
    "anchor_basis": "actual",
    "reason": "target 26 Jan 2026 (synopsis): 2 weeks after INF2, done on 12 Jan 2026",
    "offset": "P2W",
    "agreed": True,
    "target_source": "synopsis",
    "window_source": "assumption",
    "reading": "calendar-months",
    "assumed": ["age", "clock", "criterion", "ladder", "target", "window"],
    "day": 3,
    "dose": {
        "cells": 6.15e9,
        "cells_per_kg": 1e8,
        "weight_kg": 61.5,
        "weight_on": "2026-01-12",
        "weight_source": "INF2",
        "weight_change": -0.12,
        "source": "synopsis",
    },
    "on": "2026-01-31",
    "deviation_days": 2,
    "criterion": "lost-to-follow-up",
    "decode": "LOST TO FOLLOW-UP",
    "term": "Fever",
    "grade": 4,
    "ae": "AE-1",
    "hours": 20,
    "deadline": "2026-01-27T01:30:00+00:00",
    "replaces": 5.5e9,
    "old_date": "2026-01-26",
    "new_date": "2026-02-02",
    "attempt": 2,
    "outcome": "missed",
    "because": "moved",
    "version": "2",
    "consent": "consent",
    "treatment_ended": True,
    "dose_for": {
        "cells_per_kg": 1e8,
        "weight_kg": 61.5,
        "weight_on": "2026-01-05",
        "weight_source": "INF1",
        "source": "synopsis",
    },
    "unmet": ["AST 3.4 x ULN, limit 3"],
    "shortfalls": [{"rule": "liver", "name": "AST", "value": "3.4", "limit": "3"}],
    "given": 5e9,
    "planned": 6.15e9,
    "age_years": 16,
    "from_years": 18,
    "follow_up": False,
    "submitted": False,
    "death": False,
    "channel": "json://127.0.0.1/x",
    "since": "2026-01-27T01:30:00+00:00",
    "failures": 4,
    "error": "the provider answered 503",
    "about": "backup",
    "what": "the backup into /backups failed: No space left on device",
    "site": "01",
    "asked": "coordinator",
    "missing": [{"person": "crc.li", "why": "away", "until": "2026-01-30"}],
    "told": "investigator",
    "person": "crc.wang",
    "away": "crc.li",
    "first": "2026-01-27",
    "last": "2026-01-30",
    "back": False,
    "places": ["coordinator 01"],
    "consents": [{"subject": "ITP-007", "kind": "consent", "version": "2"}],
    "versions": [{"version": "2", "since": "2026-01-20", "subjects": ["ITP-007", "ITP-008"]}],
    "today": [
        {
            "subject": "ITP-007",
            "visit": "INF3",
            "booked": True,
            "held": False,
            "day": "2026-01-27",
            "closes": "2026-01-29",
        }
    ],
    "week": [{"subject": "ITP-008", "visit": "INF2", "booked": False, "day": "2026-01-28", "held": True}],
    "overdue": [{"subject": "ITP-007", "visit": "INF2", "days": 3, "rung": "investigator"}],
    "waiting": [
        {"subject": "ITP-007", "what": "report", "about": "AE-1", "by": "2026-01-27T01:30:00+00:00"},
        {"subject": "ITP-007", "what": "flag", "about": "adverse-event", "since": "2026-01-26"},
        {
            "subject": "ITP-007",
            "what": "deviation",
            "about": "missed",
            "visit": "INF3",
            "id": "ITP-007/INF3/missed",
            "since": "2026-01-29",
        },
        {"subject": "ITP-007", "what": "disposition", "about": "", "since": "2026-01-26"},
    ],
    "duty": [
        {"asked": "coordinator", "people": [{"person": "crc.wang", "away": "crc.li"}], "missing": []},
        {"asked": "ops", "people": [], "missing": []},
    ],
    "gaps": [
        {
            "asked": "coordinator",
            "first": "2026-01-29",
            "last": "2026-01-30",
            "missing": [{"person": "crc.li", "why": "away", "until": "2026-01-30"}],
        }
    ],
    "link": "http://127.0.0.1:8300/acknowledge/x",
}


def text(step: str, language: str = "en", audience: str = "coordinator", **facts: Any) -> str:
    said = cast("OutboxContents", facts)
    title, body = render(Occasion(step, audience, "ITP-007", "INF3", said), language, SHANGHAI)
    return f"{title}\n{body}"


def occasion(notice: NoticeIssued) -> Occasion:
    """What a notice of the log is about and says."""
    said = cast("OutboxContents", notice.facts)
    return Occasion(notice.step, notice.audience, "ITP-001", notice.visit, said)


def test_the_contents_of_these_tests_are_all_there_are() -> None:
    assert set(FULL) == KEYS


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("step", STEPS)
def test_every_step_has_a_text_of_its_own(step: str, language: str) -> None:
    name = re.sub(r"decision-\d+", "decision-n", step)
    assert (TEXTS / language / f"{name}.txt").is_file()


def test_there_are_texts_in_english_and_simplified_chinese_for_the_same_steps() -> None:
    assert LANGUAGES == ("en", "zh-CN")
    english, chinese = ({path.name for path in (TEXTS / name).iterdir()} for name in LANGUAGES)
    assert english == chinese


@pytest.mark.parametrize(
    "path", sorted(TEXTS.glob("*/*.txt")), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_a_template_names_only_what_notices_carry(path: Path) -> None:
    made = environment(path.parent.name, SHANGHAI)
    named = meta.find_undeclared_variables(made.parse(path.read_text(encoding="utf-8")))
    assert named <= KEYS | CONTEXT


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("audience", AUDIENCES)
@pytest.mark.parametrize("step", STEPS)
def test_every_text_holds_with_all_facts_and_with_none(
    step: str, audience: str, language: str, caplog: pytest.LogCaptureFixture
) -> None:
    for facts in (FULL, {}):
        found = text(step, language, audience, **facts)
        assert "None" not in found
        assert "{" not in found
    assert caplog.text == ""


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "step", sorted(set(STEPS) - {"channel-dead", "digest", "trouble", "duty-gap", "duty-hand-over"})
)
def test_every_text_says_which_subject_and_what_to_do(step: str, language: str) -> None:
    title, _, body = text(step, language, **FULL).partition("\n")
    assert "ITP-007" in title
    assert "ITP-007" in body
    assert re.search("To do|To take it on" if language == "en" else "请", body)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("step", ["T-14d", "T-7d", "T-3d", "T-1d", "T", "last-day", "no-show", "rung-1"])
def test_a_text_about_a_visit_says_its_window_and_why_it_lies_there(step: str, language: str) -> None:
    found = text(step, language, **FULL)
    assert "INF3" in found
    first, last, anchor = (
        ("Fri 23 Jan 2026", "Thu 29 Jan 2026", "INF2, done on 12 Jan 2026")
        if language == "en"
        else (
            "2026年1月23日（周五）",
            "2026年1月29日（周四）",
            "第2次输注（INF2）的实际日期2026年1月12日（周一）",
        )
    )
    assert first in found
    assert last in found
    assert anchor in found


def test_the_cell_lab_is_told_the_dose_with_its_weight_and_sources() -> None:
    found = text("T-3d", audience="cell-lab", **FULL)
    assert "6.15 × 10⁹ cells, that is 1 × 10⁸ per kg (synopsis) for 61.5 kg" in found
    assert "weighed on Mon 12 Jan 2026 (INF2)" in found
    assert "has fallen by 12%" in found
    assert "replaces an earlier order for 5.5 × 10⁹ cells" in found
    assert "Dose" not in text("T-3d", audience="coordinator", **FULL)


def test_the_limit_of_a_safety_report_is_in_the_sites_time() -> None:
    assert "Tue 27 Jan 2026, 09:30 (Beijing time)†" in text("sae", **FULL)
    assert "北京时间2026年1月27日（周二）09:30†" in text("sae", "zh-CN", **FULL)


@pytest.mark.parametrize(
    ("facts", "title"),
    [
        ({"grade": 4, "term": "Fever"}, "URGENT ITP-007: serious adverse event reported"),
        ({"term": "pregnancy"}, "URGENT ITP-007: pregnancy reported"),
        ({"term": "pregnancy of a partner"}, "URGENT ITP-007: pregnancy of a partner reported"),
    ],
)
def test_a_safety_alert_says_what_it_is_about(facts: dict[str, Any], title: str) -> None:
    assert text("sae", ae="AE-1", **facts).startswith(title)


@pytest.mark.parametrize("step", ["sae", "sae-20h", "sae-24h", "decision-3"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_sponsor_is_asked_to_ask_the_site_and_not_to_do_its_work(step: str, language: str) -> None:
    asks = {"en": r"ask (for it|the site|the investigator)", "zh-CN": "催报|请研究者|请中心"}[language]
    assert re.search(asks, text(step, language, "sponsor", **FULL))
    assert not re.search(asks, text(step, language, "investigator", **FULL))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("step", ["flag", "decision-1", "disposition"])
def test_the_page_on_which_to_decide_is_for_the_investigator(step: str, language: str) -> None:
    asks = {"en": "Decide on this page", "zh-CN": "请使用本人令牌在此页面作出决定"}[language]
    assert asks in text(step, language, "investigator", **FULL)
    assert asks not in text(step, language, "sponsor", **FULL)
    assert FULL["link"] in text(step, language, "sponsor", **FULL)


@pytest.mark.parametrize("step", ["flag", "decision-1"])
def test_no_choice_is_offered_that_the_record_would_refuse(step: str) -> None:
    """Treatment that has ended cannot be stopped."""
    assert "stops treatment" in text(step, audience="investigator")
    assert "stops treatment" not in text(step, audience="investigator", treatment_ended=True)


@pytest.mark.parametrize(
    "path", sorted(TEXTS.glob("*/*.txt")), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_a_text_names_no_event_types(path: Path) -> None:
    assert not re.search(r"itp\.[a-z]", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_asks_for_something_by_a_date_that_is_past(language: str) -> None:
    """A booking after the window: what is due on the booked day has no limit before it."""
    word = {"en": "By: ", "zh-CN": "截止："}[language]
    late = FULL | {"t": "2026-01-31", "booked": True}
    for step in ("T", "no-show", "booking-out-of-window"):
        found = [line for line in text(step, language, **late).splitlines() if line.startswith(word)]
        assert not [line for line in found if re.search(r"29 Jan|1月29日", line)]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("because", ["exit", "stopped", "missed", "on-hold", "moved", "open", "fatal"])
def test_who_stands_down_is_told_why(because: str, language: str) -> None:
    found = text("stand-down", language, because=because)
    assert not re.search(rf"[:：] ?{because}[.。]", found)
    assert found != text("stand-down", language)


@pytest.mark.parametrize("decode", get_args(Decode))
def test_a_disposition_has_its_chinese_name_beside_its_code(decode: str) -> None:
    assert re.search(rf"[\u4e00-\u9fff]（{decode}）", text("exit", "zh-CN", decode=decode))


def test_a_chinese_text_marks_an_assumption_and_says_how_far_a_date_lies_from_what_it_hangs_on() -> None:
    found = text("T-7d", "zh-CN", **FULL | {"agreed": False})
    assert "2026年1月12日（周一）起2周（目标日期：方案摘要，按日历月计†；时间窗：待中心确认†）" in found


def test_a_chinese_text_says_that_a_date_was_agreed_at_enrolment() -> None:
    assert "入组日2026年1月12日（周一）商定的日期" in text(
        "T-7d", "zh-CN", **FULL | {"anchor_code": "enrolment"}
    )


@pytest.mark.parametrize("rule", eligibility.SENTENCES)
def test_a_criterion_not_met_has_its_chinese_sentence_with_the_same_values(rule: str) -> None:
    names = re.findall(r"{(\w+)}", eligibility.SENTENCES[rule])
    values = {name: f"v-{name}" for name in names}
    found = unmet_zh({"rule": rule, **values})
    assert re.search("[\u4e00-\u9fff]", found)
    assert [name for name in names if f"v-{name}" not in found] == []


def test_what_a_corrected_enrolment_does_not_meet_is_said_in_chinese() -> None:
    study = Study()
    first = study.enrol("2026-01-05", at="2026-01-05 08:00")
    failed = {"first_line": False, "second_line": False, "rituximab": True, "splenectomy": False}
    wrong = study.enrolment(
        "2026-01-05",
        at="2026-01-06",
        screening={"itp_months": 3, "failed": failed, "bilirubin_x_uln": 1.6, "pregnancy_test": "not-done"},
    )
    study.record(study.void(first, "2026-01-06"), wrong)
    study.live_until("2026-01-06 12:00")
    [notice, *_] = [
        event.data
        for event in study.log
        if isinstance(event.data, NoticeIssued) and event.data.step == "eligibility"
    ]
    _, body = render(occasion(notice), "zh-CN", SHANGHAI)
    assert body.splitlines()[:5] == [
        "更正后，受试者 ITP-001 有 4 项入选标准不符合。",
        "- ITP 病程 3 个月，须大于 3 个月",
        "- 不符合难治性标准：一线药物、二线药物未证实无效，脾切除亦未证实无效或复发",
        "- 总胆红素 1.6 x ULN，上限 1.5",
        "- 妊娠试验未做，须为阴性",
    ]


def test_what_the_service_itself_says_is_chinese_in_a_chinese_text() -> None:
    study = Study()
    study.enrol()
    study.on_target("INF1")
    study.pregnant("2026-01-06")
    study.withdrew("2026-01-07")
    study.live_until("2026-01-08")
    told = [
        event.data
        for event in study.log
        if isinstance(event.data, NoticeIssued) and event.data.facts.get("term")
    ]
    assert {notice.step for notice in told} >= {"sae", "treatment-stopped", "exit"}
    for notice in told:
        assert str(notice.facts["term"]) not in "".join(render(occasion(notice), "zh-CN", SHANGHAI))


def test_the_deviation_of_a_dose_says_by_how_much_and_for_which_weight() -> None:
    found = text("dose-deviation", **FULL)
    assert "given 5 × 10⁹ cells, planned 6.15 × 10⁹ (19% less than planned)" in found
    assert "1 × 10⁸ cells per kg (synopsis) for 61.5 kg, weighed on Mon 5 Jan 2026 (INF1)" in found
    assert "given 0 cells" in text("dose-deviation", given=0, planned=6.15e9)


def test_a_death_without_an_adverse_event_asks_for_one() -> None:
    assert "record the adverse event that led to it" in text("sae", on="2026-01-06")
    assert "ask the site for the adverse event" in text("sae", audience="sponsor", on="2026-01-06")


def test_what_was_stood_down_has_a_new_date_or_none() -> None:
    assert "New date: Mon 2 Feb 2026" in text("stand-down", **FULL)
    assert "There is no new date" in text("stand-down", old_date="2026-01-26")


def test_an_english_sentence_is_not_printed_in_a_chinese_text() -> None:
    assert "weeks after" not in text("T-7d", "zh-CN", **FULL)


def test_a_deviation_says_its_direction() -> None:
    assert "2 days after the window's last day" in text("out-of-window", deviation_days=2)
    assert "1 day before the window's first day" in text("out-of-window", deviation_days=-1)
    assert "早1天" in text("out-of-window", "zh-CN", deviation_days=-1)


def test_a_notice_whose_facts_do_not_fit_its_text_still_says_them(caplog: pytest.LogCaptureFixture) -> None:
    found = text("T", opens="tomorrow", closes="soon")
    assert found.startswith("ITP-007: T INF3")
    assert '"opens": "tomorrow"' in found
    assert "could not be made" in caplog.text


def test_a_step_that_has_no_text_yet_is_told_plainly() -> None:
    assert text("T-5d", **FULL).startswith("ITP-007: T-5d, Infusion 3 (INF3)")


def test_the_site_chooses_the_language(desk: Desk, study: Study, told: Receiver) -> None:
    desk.protocol = protocol_in("Asia/Shanghai", language="zh-CN")
    desk.take(study.enrol())
    desk.hand_over(ENROLLED_AT)
    titles = {request.body["title"] for request in told.requests}
    assert "ITP-001：第1次输注（INF1）应进行，目标日期2026年1月5日（周一）†" in titles


def test_every_fact_that_the_core_gives_is_one_that_texts_may_name() -> None:
    study = Study()
    study.enrol(consent_by="guardian", screening={"age_years": 16}, assent_on="2025-12-20")
    study.done("INF1", "2026-01-05", weight_kg=61.5)
    study.booked("INF2", "2026-01-20", at="2026-01-06")
    study.adverse_event("2026-01-07", serious=True, related=True, grade=4)
    study.live_until("2026-03-20")
    study.decided("continue", "2026-03-20")
    study.done("INF2", "2026-03-20", cells_given=1e9)
    study.live_until("2026-06-01")
    study.pregnant("2026-06-02")
    study.died("2026-06-03")
    study.live_until("2026-06-30")
    notices = [event.data for event in study.log if isinstance(event.data, NoticeIssued)]
    assert len({notice.step for notice in notices}) > 12
    assert set().union(*(notice.facts for notice in notices)) <= KEYS
    for notice in notices:
        for language in LANGUAGES:
            title, body = render(occasion(notice), language, SHANGHAI)
            assert "None" not in title + body


def test_the_built_in_visits_have_chinese_names() -> None:
    for visit in load_protocol().visits:
        assert visit_name("zh-CN", visit.code, visit.label).startswith("第")


# Words that readers of Chinese have for other things, and where they may stand.
ELSEWHERE = {
    "到期": (),
    "上报": ("sae", "sae-20h", "sae-24h", "digest", "_matters"),
    "去向": (),
    "处置": (),
    "终止原因": (),
    "准备细胞": (),
}


@pytest.mark.parametrize("word", ELSEWHERE)
def test_a_chinese_word_says_one_thing_only(word: str) -> None:
    found = {path.stem for path in (TEXTS / "zh-CN").iterdir() if word in path.read_text(encoding="utf-8")}
    assert found <= set(ELSEWHERE[word])


def test_an_escalation_names_to_whom() -> None:
    assert "已逐级通知至研究者" in text("digest", "zh-CN", **FULL)
    assert "escalated to the investigator" in text("digest", **FULL)


def test_how_an_epoch_ended_is_called_the_same_everywhere_in_chinese() -> None:
    for step in ("exit", "treatment-stopped", "disposition"):
        assert "结束原因" in text(step, "zh-CN", decode="LACK OF EFFICACY")
    facts = {"what": "disposition", "subject": "ITP-007", "about": "", "since": "2026-01-26"}
    assert "结束原因" in text("digest", "zh-CN", waiting=[facts])
    assert "监护人撤回同意（WITHDRAWAL BY PARENT/GUARDIAN）" in text(
        "exit", "zh-CN", decode="WITHDRAWAL BY PARENT/GUARDIAN"
    )


@pytest.mark.parametrize(
    ("new_date", "title"),
    [
        (None, "ITP-007：请停止细胞制备：第3次输注（INF3）（原定2026年1月26日（周一））取消"),
        (
            "2026-02-02",
            "ITP-007：请停止细胞制备：第3次输注（INF3）（原定2026年1月26日（周一））改期至2026年2月2日（周一）",
        ),
    ],
)
def test_who_prepares_cells_is_told_to_stop_and_whether_it_is_off_or_moved(
    new_date: str | None, title: str
) -> None:
    found = text("stand-down", "zh-CN", "cell-lab", old_date="2026-01-26", new_date=new_date)
    assert found.splitlines()[0] == title


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_dead_channel_is_told_with_what_the_provider_answered(language: str) -> None:
    assert "503 Service Unavailable" in text("channel-dead", language, error="503 Service Unavailable")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("step", STEPS)
def test_what_the_mark_means_stands_below_a_text_that_bears_it_and_nowhere_else(
    step: str, language: str
) -> None:
    legend = {"en": "† assumption, to be confirmed by the site.", "zh-CN": "† 为假定，须由中心确认。"}[
        language
    ]
    marked = text(step, language, **FULL)
    assert marked.endswith(f"\n{legend}") == (marked.count("†") > 1)
    assert "†" not in text(step, language, **FULL | {"assumed": [], "reason": None, "anchor_on": None})


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("step", "date"),
    [("T-7d", "target"), ("T", "target"), ("last-day", "window"), ("out-of-window", "window")],
)
def test_a_date_in_a_title_is_marked_too(step: str, date: str, language: str) -> None:
    facts = FULL | {"booked": False, "assumed": [date]}
    assert "†" in text(step, language, **facts).splitlines()[0]
    assert "†" not in text(step, language, **facts | {"assumed": []}).splitlines()[0]


def test_a_booked_date_is_a_fact_whatever_its_target_rests_on() -> None:
    assert "†" not in text("T-1d", **FULL | {"assumed": ["target"]}).splitlines()[0]


# The safety chain

FATAL: dict[str, Any] = {"ae": "AE-1", "term": "Bleeding", "grade": 5, "on": "2026-01-06"}


@pytest.mark.parametrize(
    ("facts", "title"),
    [
        (FATAL, "URGENT ITP-007: fatal adverse event reported"),
        (FATAL | {"grade": 4, "outcome": "fatal"}, "URGENT ITP-007: fatal adverse event reported"),
        (FATAL | {"grade": 4}, "URGENT ITP-007: serious adverse event reported"),
        (FATAL | {"follow_up": True}, "URGENT ITP-007: adverse event worse, follow-up report owed"),
        ({"death": True}, "URGENT ITP-007: death reported, the adverse event that led to it is not recorded"),
    ],
)
def test_a_safety_alert_says_what_is_owed(facts: dict[str, Any], title: str) -> None:
    assert text("sae", audience="investigator", **facts).splitlines()[0] == title


@pytest.mark.parametrize("step", ["sae", "sae-20h", "sae-24h"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_worse_event_asks_for_a_follow_up_report(step: str, language: str) -> None:
    word = {"en": "follow-up report", "zh-CN": "随访报告"}[language]
    assert word in text(step, language, "investigator", **FATAL, follow_up=True)
    assert word not in text(step, language, "investigator", **FATAL)


@pytest.mark.parametrize("step", ["sae", "sae-20h", "sae-24h"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_death_asks_for_the_event_that_led_to_it_until_its_report_is_submitted(
    step: str, language: str
) -> None:
    asks = {"en": "adverse event that led to", "zh-CN": "录入导致死亡的不良事件"}[language]
    assert asks in text(step, language, "investigator", death=True, ae="death-1", on="2026-01-06")


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_unrecorded_death_is_asked_for_with_the_event_that_says_so(language: str) -> None:
    found = text("death-unrecorded", language, "investigator", **FATAL, attempt=3)
    assert "AE-1" in found
    assert "Bleeding" in found
    asks = {
        "en": "if the subject has died, record the death; if not, correct",
        "zh-CN": "请录入死亡；如未死亡，请更正",
    }
    assert asks[language] in found
    assert re.search("reminder 3|第 3 次提醒", found)


@pytest.mark.requirement("CON-02")
@pytest.mark.parametrize(("step", "age", "years"), [("assent", 7, 8), ("majority", 17, 18)])
def test_who_reaches_an_age_during_the_study_is_told_of_with_that_age(
    step: str, age: int, years: int
) -> None:
    facts: dict[str, Any] = {"age_years": age, "from_years": years, "assumed": ["age"]}
    assert f"aged {age} with a guardian's consent and may turn {years}†" in text(step, **facts)
    assert f"入组时 {age} 岁，可能在末次访视前年满 {years} 岁†" in text(step, "zh-CN", **facts)


def test_how_many_infusions_were_given_is_said_in_chinese() -> None:
    found = text("exit", "zh-CN", decode="OTHER", term="4 of 5 infusions given")
    assert "结束原因：其他（OTHER）。\n说明：计划输注 5 次，完成 4 次" in found


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_ending_says_its_disposition_its_criterion_and_its_reason_once(language: str) -> None:
    facts = {"decode": "PREGNANCY", "criterion": "pregnancy", "term": "Pregnancy", "on": "2026-01-06"}
    found = text("treatment-stopped", language, **facts)
    assert found.lower().count("pregnancy") == 1
    told = text("exit", language, decode="LACK OF EFFICACY", criterion="rescue-medication", term="no use")
    assert "no use" in told
    assert re.search("rescue medication taken|使用补救治疗", told)


@given(st.sampled_from(LANGUAGES), st.text(), st.text())
def test_a_message_without_the_marks_of_a_repetition_is_what_was_repeated(
    language: str, title: str, body: str
) -> None:
    assert unmarked(*marked_repeated(title, body, language)) == (title, body)
    assert unmarked(f"ITP-001: {title}", body) == (f"ITP-001: {title}", body)
