"""The dose: cells per kg of the protocol times the weight known last, and the cells given against it."""

from typing import Any

import pytest

from itp_events.events import NoticeIssued
from tests.itp_events.journey import Journey
from tests.support.study import Json, Study, altered

pytestmark = pytest.mark.requirement("DOS-01")


def subject(**data: Any) -> Study:
    study = Study(**data)
    study.enrol("2026-01-05", weight_kg=61.5)
    return study


def cell_preparation(study: Study, visit: str, at: str) -> Json:
    """The dose that the notice of cell preparation for a visit states."""
    for event in study.decide(at).events:
        if isinstance(event.data, NoticeIssued) and (event.data.visit, event.data.step) == (visit, "T-3d"):
            assert event.data.audience == "cell-lab"
            dose: Json = event.data.facts["dose"]
            return dose
    raise AssertionError(f"no cells are to be prepared for {visit} at {at}")


def deviations(study: Study, as_of: str) -> list[tuple[str, str]]:
    rows = study.plan(as_of)["notices"]
    return [(row["visit"], row["audience"]) for row in rows if row["step"] == "dose-deviation"]


def test_the_dose_is_cells_per_kg_times_the_weight_known_last() -> None:
    study = subject()
    study.done("INF1", "2026-01-05", weight_kg=62)
    dose = cell_preparation(study, "INF2", "2026-01-09 09:00")
    assert dose["cells"] == 6.2e9
    assert dose["cells_per_kg"] == 1e8
    assert (dose["weight_kg"], dose["weight_on"], dose["weight_source"]) == (62, "2026-01-05", "INF1")
    assert dose["source"] == "synopsis"


def test_without_a_later_weighing_the_weight_of_the_enrolment_counts() -> None:
    study = subject()
    study.done("INF1", "2026-01-05")
    dose = cell_preparation(study, "INF2", "2026-01-09 09:00")
    assert (dose["weight_kg"], dose["weight_on"], dose["weight_source"]) == (61.5, "2026-01-05", "enrolment")
    assert dose["cells"] == 6.15e9


@pytest.mark.requirement("PRO-01")
def test_the_number_of_cells_per_kg_is_data() -> None:
    protocol = altered(lambda data: data["dose"].update({"cells_per_kg": 1e6, "source": "assumption"}))
    study = subject(protocol=protocol)
    study.done("INF1", "2026-01-05")
    dose = cell_preparation(study, "INF2", "2026-01-09 09:00")
    assert (dose["cells"], dose["source"]) == (6.15e7, "assumption")


@pytest.mark.parametrize(
    ("kg", "change"),
    [
        (61.5, None),
        (67.65, None),  # exactly 10 percent more
        (55.35, None),  # exactly 10 percent less
        (67.7, 0.1008),
        (55.3, -0.1008),
    ],
)
def test_a_weight_change_of_more_than_ten_percent_since_the_last_infusion_is_pointed_out(
    kg: float, change: float | None
) -> None:
    study = subject()
    study.done("INF1", "2026-01-05", weight_kg=kg)
    found = cell_preparation(study, "INF2", "2026-01-09 09:00").get("weight_change")
    assert found == (pytest.approx(change, abs=1e-4) if change else None)


@pytest.mark.requirement("DOS-02")
@pytest.mark.parametrize(
    ("cells", "deviates"),
    [
        (6.15e9, False),
        (6.765e9, False),  # exactly 10 percent more
        (5.535e9, False),  # exactly 10 percent less
        (6.77e9, True),
        (5.53e9, True),
        (0, True),
        (None, False),
    ],
)
def test_cells_given_that_differ_by_more_than_ten_percent_raise_an_alert(
    cells: float | None, deviates: bool
) -> None:
    study = subject()
    study.done("INF1", "2026-01-05", cells_given=cells)
    expected = [("INF1", "coordinator"), ("INF1", "investigator")] if deviates else []
    assert sorted(deviations(study, "2026-01-06")) == expected


@pytest.mark.requirement("DOS-02")
def test_cells_given_are_compared_with_the_dose_for_the_weight_of_that_day_else_the_one_known_last() -> None:
    study = subject()
    study.done("INF1", "2026-01-05", weight_kg=45, cells_given=4.5e9)
    assert deviations(study, "2026-01-06") == []
    study.done("INF2", "2026-01-12", cells_given=6.15e9)
    assert len(deviations(study, "2026-01-13")) == 2


@pytest.mark.requirement("DOS-02")
def test_the_dose_ordered_for_a_former_weight_deviates_from_that_of_the_day() -> None:
    study = subject()
    study.done("INF1", "2026-01-05", weight_kg=45, cells_given=6.0e9)
    assert len(deviations(study, "2026-01-06")) == 2


def test_a_corrected_weight_changes_the_comparison() -> None:
    study = subject()
    study.done("INF1", "2026-01-05", cells_given=6.15e9)
    again = study.enrolment("2026-01-05", at="2026-01-07", weight_kg=16.5)
    study.record(study.void(study.log[0], "2026-01-07"), again)
    assert len(deviations(study, "2026-01-08")) == 2


# A weight corrected after the cells were ordered


def ordered(*, handed: bool) -> Journey:
    """Cells for INF2 on 12 Jan 2026 were ordered on Friday the 9th, for 61.5 kg."""
    study = Journey()
    study.hands_over = handed
    study.treated("2026-01-05")
    study.until("2026-01-09 10:00")
    return study


def weighed(study: Journey, kg: float) -> None:
    """The enrolment's weight is corrected at noon."""
    right = study.enrolment("2026-01-05", at="2026-01-09 12:00", weight_kg=kg)
    study.record(study.void(study.folded().enrolment, "2026-01-09 12:00"), right)


def orders(study: Journey) -> list[tuple[str, float, float | None]]:
    """The orders for INF2: the row, the cells, and how many cells ordered before they replace."""
    return [
        (data.notice.rpartition("/")[2], data.facts["dose"]["cells"], data.facts.get("replaces"))
        for _, data in study.notices("T-3d", "INF2")
    ]


@pytest.mark.requirement("DOS-03")
def test_an_order_that_has_not_left_states_the_dose_that_holds_when_it_leaves() -> None:
    study = ordered(handed=False)
    first = study.key("T-3d", "cell-lab", "INF2")
    weighed(study, 55)
    assert orders(study) == [("2026-01-12", 6.15e9, None), ("2026-01-12#2", 5.5e9, None)]
    assert study.fate(first) == ["issued", "withdrawn"]


@pytest.mark.requirement("DOS-03")
def test_an_order_withdrawn_by_a_hold_comes_back_with_the_dose_that_holds_then() -> None:
    study = ordered(handed=False)
    study.medication("rescue", "2026-01-09", at="2026-01-09 11:30")
    weighed(study, 55)
    study.decided("continue", "2026-01-09", at="2026-01-09 13:00")
    assert [cells for _, cells, _ in orders(study)] == [6.15e9, 5.5e9]


@pytest.mark.requirement("DOS-03")
def test_an_order_that_has_left_is_replaced_when_its_dose_no_longer_holds() -> None:
    study = ordered(handed=True)
    first = study.key("T-3d", "cell-lab", "INF2")
    weighed(study, 55)
    assert orders(study)[1:] == [("2026-01-12#2", 5.5e9, 6.15e9)]
    assert study.fate(first) == ["issued", "closed"]
    weighed(study, 55)
    assert len(orders(study)) == 2
    assert study.sent("stand-down") == []


@pytest.mark.requirement("DOS-03")
def test_an_order_after_a_hold_replaces_none_because_the_first_was_stood_down() -> None:
    study = ordered(handed=True)
    study.medication("rescue", "2026-01-09", at="2026-01-09 11:30")
    weighed(study, 55)
    study.decided("continue", "2026-01-09", at="2026-01-09 13:00")
    assert orders(study)[1:] == [("2026-01-12#2", 5.5e9, None)]
