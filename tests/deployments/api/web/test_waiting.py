"""The matters that wait, from the cards: what a page of many subjects leaves aside waits on no day."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.api.web.in_words import InWords
from deployments.api.web.waiting import Day, may_wait, sections
from deployments.api.web.words import Say
from itp_events.protocol.file import load_protocol
from itp_events.rules.windows import Status
from tasks.board.cards import Card

pytestmark = pytest.mark.requirement("PAG-01")

NOW = datetime(2026, 3, 2, 3, tzinfo=UTC)
PROTOCOL = load_protocol()
DAYS = st.integers(-40, 40).map(lambda days: str(NOW.date() + timedelta(days=days)))
LINES = st.fixed_dictionaries(
    {
        "code": st.sampled_from([visit.code for visit in PROTOCOL.visits]),
        "status": st.sampled_from(get_args(Status)),
        **dict.fromkeys(("target", "opens", "closes", "day"), DAYS),
        **dict.fromkeys(("firm", "booked", "held", "declined"), st.booleans()),
        "answered": st.none() | DAYS,
        "assumed": st.just([]),
    }
)


def _names(line: dict[str, Any]) -> list[str]:
    """The sections in which a subject with this visit alone waits."""
    others: dict[str, Any] = dict.fromkeys(("clocks", "flags", "consents", "deviations", "undelivered"), ())
    others |= {"fatal": None, "death": None, "disposition": False}
    card: Card = {"code": "ITP-001", "site": "01", "visits": [line], **others}  # type: ignore[typeddict-item]
    day = Day(NOW, PROTOCOL, InWords(Say("en"), PROTOCOL.site("01").zone))
    return [section.name for section in sections(day, [card], "recorder")]


@given(LINES)
def test_a_visit_that_a_page_of_many_subjects_leaves_aside_waits_in_no_section(line: dict[str, Any]) -> None:
    if not may_wait(line):  # type: ignore[arg-type]
        assert _names(line) == []


def test_a_visit_that_is_asked_for_is_not_left_aside() -> None:
    today = str(date(2026, 3, 2))
    dates: dict[str, Any] = dict.fromkeys(("target", "opens", "closes", "day"), today)
    line = dates | {"code": "INF2", "status": "upcoming", "firm": True, "booked": False, "held": False}
    line |= {"declined": False, "answered": None, "assumed": []}
    assert may_wait(line)  # type: ignore[arg-type]
    assert _names(line) == ["book"]
