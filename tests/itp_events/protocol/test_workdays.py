"""Working days of the site, and the date they propose for a visit."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from importlib.util import find_spec, module_from_spec
from threading import Barrier
from types import ModuleType

import pytest

from itp_events.protocol.workdays import WorkCalendar, known_calendar
from tests.support.study import Study, altered, protocol_in

pytestmark = pytest.mark.requirement("CAL-01")

CHINA = WorkCalendar("CN")


@pytest.mark.parametrize(
    "day", ["2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10"]
)
def test_chinas_swapped_working_saturdays_and_sundays_are_working_days(day: str) -> None:
    swapped = date.fromisoformat(day)
    assert swapped.weekday() >= 5
    assert CHINA.is_working(swapped)


@pytest.mark.parametrize("day", ["2026-01-02", "2026-02-16", "2026-02-20", "2026-02-23", "2026-10-07"])
def test_days_off_on_weekdays_are_not_working_days(day: str) -> None:
    off = date.fromisoformat(day)
    assert off.weekday() < 5
    assert not CHINA.is_working(off)


def test_an_ordinary_weekend_is_not_worked() -> None:
    assert not CHINA.is_working(date(2026, 1, 10))
    assert not CHINA.is_working(date(2026, 1, 11))
    assert CHINA.is_working(date(2026, 1, 12))


def test_over_the_spring_festival_the_working_day_before_and_after_are_swapped_ones() -> None:
    inside = date(2026, 2, 18)  # off from Sunday 15 to Monday 23 February
    assert CHINA.on_or_before(inside) == date(2026, 2, 14)
    assert CHINA.on_or_after(inside) == date(2026, 2, 24)
    assert CHINA.next(date(2026, 2, 14)) == date(2026, 2, 24)


def test_a_working_day_is_its_own_nearest() -> None:
    day = date(2026, 2, 14)
    assert CHINA.on_or_before(day) == CHINA.on_or_after(day) == day
    assert CHINA.next(day) > day


def test_a_year_without_a_published_calendar_has_the_holidays_known_by_rule() -> None:
    assert not CHINA.is_working(date(2031, 10, 1))
    assert not CHINA.is_working(date(2031, 1, 23))  # the Chinese New Year of 2031
    assert CHINA.is_working(date(2031, 3, 12))


def test_each_country_has_its_own_working_days() -> None:
    assert WorkCalendar("DE").is_working(date(2026, 2, 18))
    assert not WorkCalendar("DE").is_working(date(2026, 10, 3))
    assert not WorkCalendar("US").is_working(date(2026, 7, 3))


def test_only_calendars_that_the_library_has_are_known() -> None:
    assert known_calendar("CN")
    assert not known_calendar("XX")


@pytest.mark.parametrize(
    ("target", "nearest"),
    [
        ("2026-01-12", "2026-01-12"),  # a Monday
        ("2026-01-10", "2026-01-09"),  # Saturday: Friday is nearer than Monday
        ("2026-01-11", "2026-01-12"),  # Sunday: Monday is nearer
        ("2026-02-19", "2026-02-24"),  # five days either way would be a tie, but 14 February is outside
    ],
)
def test_the_nearest_working_day_lies_inside_the_days_given(target: str, nearest: str) -> None:
    day = date.fromisoformat(target)
    found = CHINA.nearest(day, day - timedelta(days=4), day + timedelta(days=5))
    assert found == date.fromisoformat(nearest)


def test_of_two_that_are_equally_near_the_earlier_is_taken() -> None:
    day = date(2026, 2, 19)
    assert CHINA.nearest(day, date(2026, 2, 14), date(2026, 2, 24)) == date(2026, 2, 14)


def test_days_without_a_working_day_have_no_nearest() -> None:
    assert CHINA.nearest(date(2026, 2, 18), date(2026, 2, 15), date(2026, 2, 23)) is None


# The date that a plan suggests


def enrolled(on: str, **data: object) -> Study:
    study = Study()
    study.enrol(on, **data)
    return study


@pytest.mark.requirement("CAL-02")
def test_the_working_day_nearest_to_the_target_is_suggested() -> None:
    study = enrolled("2026-01-03")  # INF2: target Saturday 10 January, window 9 to 11
    study.done("INF1", "2026-01-03")
    row = study.plan("2026-01-04").visit("INF2")
    assert (row["target"], row["suggested"]) == ("2026-01-10", "2026-01-09")


@pytest.mark.requirement("CAL-02")
def test_a_suggestion_never_leaves_the_window_and_never_moves_it() -> None:
    study = enrolled("2026-02-02")
    study.done("INF1", "2026-02-10")
    plan = study.plan("2026-02-10 12:00")  # INF2: 16 to 18 February, all of it Spring Festival
    assert plan.window("INF2") == ("2026-02-16", "2026-02-17", "2026-02-18")
    assert plan.visit("INF2")["suggested"] is None


def test_a_day_that_is_past_is_not_suggested() -> None:
    study = enrolled("2026-01-05")
    study.done("INF1", "2026-01-05")
    study.done("INF2", "2026-01-12")  # INF3: 23 to 29 January, target Monday 26
    assert study.plan("2026-01-27").visit("INF3")["suggested"] == "2026-01-27"
    assert study.plan("2026-01-30").visit("INF3")["suggested"] is None


def test_a_day_that_is_past_is_not_suggested_for_a_projected_visit_either() -> None:
    study = enrolled("2026-01-05")
    study.done("INF1", "2026-01-05")
    plan = study.plan("2026-01-28")  # INF2 is overdue, and INF3 projected to 23 to 29 January
    assert plan.visit("INF3")["anchor"]["basis"] == "projected"
    assert plan.visit("INF3")["suggested"] == "2026-01-28"
    assert study.plan("2026-01-30").visit("INF3")["suggested"] is None


def test_projected_visits_have_a_suggestion_too() -> None:
    plan = enrolled("2026-01-05").plan("2026-01-05 12:00")
    assert plan.visit("INF3")["suggested"] == "2026-01-26"
    assert plan.visit("FU-M3")["suggested"] == "2026-05-22"  # Saturday 23 May


@pytest.mark.requirement("CAL-02")
def test_no_date_is_suggested_for_a_settled_visit() -> None:
    study = enrolled("2026-01-05")
    study.done("INF1", "2026-01-05")
    study.missed("INF2", "2026-01-14")
    suggested = study.plan("2026-01-15").of("suggested")
    assert suggested["INF1"] is None
    assert suggested["INF2"] is None
    assert suggested["INF3"] == "2026-01-26"


@pytest.mark.requirement("CAL-02")
def test_no_infusion_is_suggested_while_on_hold_but_follow_up_is() -> None:
    study = enrolled("2026-01-05")
    study.done("INF1", "2026-01-05")
    study.medication("rescue", "2026-01-07")
    suggested = study.plan("2026-01-08").of("suggested")
    assert {suggested[code] for code in ("INF2", "INF3", "INF4", "INF5")} == {None}
    assert suggested["FU-M1"] == "2026-03-23"


@pytest.mark.requirement("CAL-02")
def test_no_infusion_is_suggested_after_a_stop_and_nothing_after_an_exit() -> None:
    study = enrolled("2026-01-05")
    study.done("INF1", "2026-01-05")
    study.pregnant("2026-01-07")
    suggested = study.plan("2026-01-08").of("suggested")
    assert {suggested[code] for code in ("INF2", "INF3", "INF4", "INF5")} == {None}
    assert suggested["FU-D14"] is not None
    study.withdrew("2026-01-09")
    assert set(study.plan("2026-01-10").of("suggested").values()) == {None}


# Working days move notices, never windows


def test_a_site_with_another_calendar_has_the_same_windows_and_other_reminders() -> None:
    def inf3(calendar: str) -> tuple[object, dict[str, str]]:
        study = Study(protocol=protocol_in("Asia/Shanghai", calendar))
        study.enrol("2026-01-28")
        study.done("INF1", "2026-01-28")
        study.done("INF2", "2026-02-04")  # INF3: target 18 February, in the Spring Festival
        plan = study.plan("2026-02-04 12:00")
        return plan.window("INF3"), {step: due for step, _, due in plan.steps("forecast", "INF3")}

    (window, china), (same, germany) = inf3("CN"), inf3("DE")
    assert window == same
    assert china["T"] == "2026-02-14T01:00:00Z"
    assert germany["T"] == "2026-02-18T01:00:00Z"
    assert china["last-day"] == germany["last-day"] == "2026-02-21T01:00:00Z"


def test_an_unknown_calendar_is_refused_with_the_protocol() -> None:
    with pytest.raises(ValueError, match="unknown working calendar"):
        altered(lambda data: data["sites"]["default"].update({"calendar": "XX"}))


def newly_loaded() -> ModuleType:
    """The module as a new process has it: no year was looked at."""
    spec = find_spec("itp_events.protocol.workdays")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def _threads_take_turns_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_threads_take_turns_often")
def test_threads_that_ask_about_a_new_year_at_once_get_the_answers_of_one_that_asks_alone() -> None:
    days = [date(2026, 1, 1) + timedelta(days=each) for each in range(365)]
    right = [CHINA.is_working(day) for day in days]
    threads = 4
    for _ in range(10):
        calendar, together = newly_loaded().WorkCalendar("CN"), Barrier(threads)

        def ask(calendar: WorkCalendar, together: Barrier) -> list[bool]:
            together.wait()
            return [calendar.is_working(day) for day in days]

        with ThreadPoolExecutor(threads) as asking:
            said = [asking.submit(ask, calendar, together) for _ in range(threads)]
        assert [each.result() for each in said] == [right] * threads
