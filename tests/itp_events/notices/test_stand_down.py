"""Stand-down: when a date falls, everybody who was told to prepare cells for it is told so."""

from collections.abc import Callable

import pytest

from itp_events.events import NoticeIssued
from tests.itp_events.journey import Journey

pytestmark = pytest.mark.requirement("ALR-03")

BOTH = {"cell-lab": 1, "coordinator": 1}


def prepared(*, handed: bool = True) -> Journey:
    """Cells for INF3 on Wednesday 28 Jan 2026 (25 to 31 Jan) were ordered on Friday the 23rd."""
    study = Journey()
    study.hands_over = handed
    study.treated("2026-01-05", "2026-01-14")
    study.until("2026-01-24")
    return study


def dates(study: Journey) -> list[tuple[str | None, str | None]]:
    """Old and new date of each stand-down."""
    return [
        (data.facts.get("old_date"), data.facts.get("new_date"))
        for _, data in study.notices("stand-down")
        if data.audience == "cell-lab"
    ]


WAYS: dict[str, tuple[Callable[[Journey], object], str | None]] = {
    "booked for another day": (lambda s: s.booked("INF3", "2026-01-30", at="2026-01-25"), "2026-01-30"),
    "anchor corrected": (
        lambda s: s.record(
            s.void(
                s.log[
                    next(
                        i
                        for i, e in enumerate(s.log)
                        if getattr(e.data, "visit", "") == "INF2" and e.type == "itp.visit.completed"
                    )
                ],
                "2026-01-25",
            ),
            s.event("itp.visit.completed", "2026-01-13", "2026-01-25", visit="INF2"),
        ),
        "2026-01-27",
    ),
    "hold": (lambda s: s.medication("rescue", "2026-01-25"), None),
    "stop": (lambda s: s.pregnant("2026-01-25"), None),
    "exit": (lambda s: s.withdrew("2026-01-25"), None),
    "miss": (lambda s: s.missed("INF3", at="2026-01-25"), None),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_change_of_t_a_hold_a_stop_an_exit_or_a_miss_stands_the_cell_lab_down(way: str) -> None:
    study = prepared()
    change, new = WAYS[way]
    change(study)
    assert study.audiences("stand-down", "INF3") == BOTH
    assert dates(study) == [("2026-01-28", new)]


@pytest.mark.parametrize("way", WAYS)
def test_an_order_that_was_never_handed_over_is_not_stood_down(way: str) -> None:
    study = prepared(handed=False)
    WAYS[way][0](study)
    assert study.sent("stand-down") == []


def test_the_unsent_preparation_is_withdrawn_instead() -> None:
    study = prepared(handed=False)
    key = study.key("T-3d", "cell-lab", "INF3")
    study.medication("rescue", "2026-01-25")
    assert study.fate(key) == ["issued", "withdrawn"]


def test_the_services_own_miss_stands_the_cell_lab_down() -> None:
    study = prepared()
    study.until("2026-02-20 09:00")
    assert dates(study) == [("2026-01-28", None)]
    assert set(study.days("stand-down")) == {"2026-02-20"}


def test_nobody_stands_down_once_the_infusion_is_given_even_on_another_day() -> None:
    study = prepared()
    study.done("INF3", "2026-01-29")
    study.withdrew("2026-01-30")
    assert study.sent("stand-down") == []


def test_a_stand_down_is_told_once() -> None:
    study = prepared()
    study.medication("rescue", "2026-01-25")
    study.until("2026-02-03")
    study.withdrew("2026-02-03")
    assert study.audiences("stand-down", "INF3") == BOTH


def test_after_the_hold_the_cells_are_ordered_anew_and_another_hold_stands_down_again() -> None:
    study = prepared()
    study.medication("rescue", "2026-01-25")
    study.decided("continue", "2026-01-26")
    first = study.key("T-3d", "cell-lab", "INF3")
    assert first.endswith("#2")
    study.medication("rescue", "2026-01-27")
    assert study.audiences("stand-down", "INF3") == {"cell-lab": 2, "coordinator": 2}


def test_a_hold_that_ends_after_t_orders_no_cells_for_a_day_that_is_past() -> None:
    study = prepared()
    study.medication("rescue", "2026-01-25")
    study.decided("continue", "2026-01-29")
    assert len(study.notices("T-3d", "INF3")) == 1


def test_a_miss_after_such_a_hold_does_not_stand_the_same_order_down_again() -> None:
    study = prepared()
    study.medication("rescue", "2026-01-25")
    study.decided("continue", "2026-01-29")
    study.missed("INF3", at="2026-02-02")
    assert study.audiences("stand-down", "INF3") == BOTH


def test_the_new_date_brings_its_own_order_and_its_own_stand_down() -> None:
    study = prepared()
    study.booked("INF3", "2026-01-30", at="2026-01-25")
    study.until("2026-01-28")
    study.medication("rescue", "2026-01-28")
    assert dates(study) == [("2026-01-28", "2026-01-30"), ("2026-01-30", None)]


def test_a_stand_down_is_over_when_the_date_holds_again() -> None:
    study = prepared()
    fact = study.medication("rescue", "2026-01-25")
    key = study.key("stand-down", "cell-lab", "INF3")
    study.voided(fact, at="2026-01-26")
    assert study.fate(key) == ["issued", "closed"]
    assert study.key("T-3d", "cell-lab", "INF3").endswith("/2026-01-28#2")


def test_an_unsent_stand_down_is_withdrawn_when_the_date_holds_again() -> None:
    study = prepared()
    study.hands_over = False
    fact = study.medication("rescue", "2026-01-25")
    key = study.key("stand-down", "cell-lab", "INF3")
    study.voided(fact, at="2026-01-26")
    assert study.fate(key) == ["issued", "withdrawn"]
    issued: list[NoticeIssued] = study.own(NoticeIssued)
    assert len({notice.notice for notice in issued}) == len(issued)


def test_an_order_repeated_but_not_sent_again_still_stands_down_the_first() -> None:
    """The stand-down of the first hold never left; the second hold must send it."""
    study = prepared()
    study.hands_over = False
    study.medication("rescue", "2026-01-25")
    study.decided("continue", "2026-01-26")
    study.medication("rescue", "2026-01-27")
    key = study.key("stand-down", "cell-lab", "INF3")
    assert study.fate(key) == ["issued", "withdrawn", "reopened"]
