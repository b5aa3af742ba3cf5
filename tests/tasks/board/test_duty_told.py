"""The board and the digest say who is on duty and the gaps ahead, by codes alone, where rotas stand."""

from datetime import UTC, datetime
from typing import Any

import pytest

from itp_events.duty.changes import read_change
from tasks import digest
from tasks.board.reading import fresh_cards, study_board
from tasks.board.study_page import study_page
from tasks.database import duty
from tasks.database.schema import accounts
from tasks.text.render import LANGUAGES, Occasion, render
from tests.support.study import Study
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("DTY-04")

# Tuesday 3 February 2026, 08:30 at the site.
NOW = datetime(2026, 2, 3, 0, 30, tzinfo=UTC)
NAMES = {"crc.li": "Zhao Liwei", "crc.wang": "王芳", "adm.qian": "Qian Meihua"}


def state(desk: Desk, what: str, **said: Any) -> None:
    change = read_change({"what": what, **said})
    duty.state(desk.store, change, NOW, actor="adm.qian", door="cli")


@pytest.fixture
def on_duty(desk: Desk) -> Desk:
    """crc.wang stands in for crc.li until Thursday, and is away herself from Friday to Sunday."""
    for code, name in NAMES.items():
        row = {"code": code, "name": name, "role": "recorder", "language": "en", "active": True}
        with desk.store.writing() as connection:
            connection.execute(
                accounts.insert(), row | {"speaks_for_others": False, "created_at": NOW, "sites": None}
            )
    rota = {"audience": "coordinator", "site": "01", "people": ["crc.li"], "first": "2026-01-01"}
    state(desk, "rota", days=[1, 2, 3, 4, 5, 6, 7], **rota)
    state(desk, "absent", person="crc.li", first="2026-02-02", last="2026-02-08", deputy="crc.wang")
    state(desk, "absent", person="crc.wang", first="2026-02-06", last="2026-02-08")
    return desk


def board(desk: Desk) -> str:
    return study_page(
        study_board(desk.store, desk.protocol, fresh_cards(desk.store, desk.protocol, NOW), NOW)
    )


def told(desk: Desk) -> dict[str, str]:
    """The digests that were posted and leave, in each language."""
    digest.post(desk.store, desk.protocol, "01", NOW)
    zone = desk.protocol.site("01").zone
    return {
        f"{each.audience} {language}": "\n".join(
            render(
                Occasion(each.step, each.audience, None, None, each.facts),
                language,
                zone,
            )
        )
        for each in desk.notices(None)
        if each.step == digest.STEP and each.status == "queued"
        for language in LANGUAGES
    }


def test_the_board_says_who_is_on_duty_and_the_days_without_anybody(on_duty: Desk) -> None:
    page = board(on_duty)
    assert "| coordinator | 01 | crc.wang for crc.li |" in page
    assert "| coordinator | 01 | Fri 6 Feb to Sun 8 Feb | crc.li is away until Sun 8 Feb 2026" in page
    assert "**1 duty gap**" in page


def test_a_digest_says_so_in_both_languages_and_a_gap_ahead_is_something_to_say(on_duty: Desk) -> None:
    found = told(on_duty)
    assert found.keys() == {
        f"{audience} {language}" for audience in digest.AUDIENCES for language in LANGUAGES
    }
    for audience in digest.AUDIENCES:
        assert "- coordinator: crc.wang for crc.li." in found[f"{audience} en"]
        assert "- coordinator, Fri 6 Feb 2026 to Sun 8 Feb 2026: crc.li is away" in found[f"{audience} en"]
        assert "- 协调员：crc.wang（代 crc.li）。" in found[f"{audience} zh-CN"]
        assert "- 协调员，2026年2月6日（周五）至2026年2月8日（周日）：crc.li" in found[f"{audience} zh-CN"]


def test_a_day_that_the_rota_leaves_out_is_said_to_have_nobody(desk: Desk) -> None:
    state(desk, "rota", audience="ops", site="01", days=[1], people=["ops.he"], first="2026-01-01")
    assert "| ops | 01 | **nobody** |" in board(desk)
    found = told(desk)
    assert "- ops: nobody (the rota names nobody for this day)." in found["coordinator en"]
    assert "- 运维：无人（排班表中当日未安排人员）。" in found["coordinator zh-CN"]


def test_who_is_on_duty_alone_makes_no_digest_leave(desk: Desk) -> None:
    state(
        desk,
        "rota",
        audience="ops",
        site="01",
        days=[1, 2, 3, 4, 5, 6, 7],
        people=["ops.he"],
        first="2026-01-01",
    )
    assert told(desk) == {}


def test_a_gap_far_ahead_is_on_the_board_and_not_yet_in_the_digest(desk: Desk) -> None:
    state(
        desk,
        "rota",
        audience="ops",
        site="01",
        days=[1, 2, 3, 4, 5, 6, 7],
        people=["ops.he"],
        first="2026-01-01",
    )
    state(desk, "absent", person="ops.he", first="2026-02-20", last="2026-02-20")
    assert "| ops | 01 | Fri 20 Feb |" in board(desk)
    assert told(desk) == {}


def test_without_a_rota_neither_says_a_word_of_duty(desk: Desk, study: Study) -> None:
    desk.take(study.enrol("2026-02-03", at="2026-02-03 08:00"))
    desk.take(study.medication("rescue", "2026-02-03", at="2026-02-03 08:10"))
    state(desk, "absent", person="crc.li", first="2026-02-02")
    found = told(desk)
    assert found
    for text in (board(desk), *found.values()):
        assert "duty" not in text
        assert "值班" not in text
        assert "crc.li" not in text


def test_people_are_named_by_their_codes_and_never_by_their_names(on_duty: Desk, study: Study) -> None:
    on_duty.take(study.enrol("2026-02-03", at="2026-02-03 08:00"))
    for text in (board(on_duty), *told(on_duty).values()):
        assert "crc.wang" in text
        for name in NAMES.values():
            assert not [part for part in name.split() if part in text]
