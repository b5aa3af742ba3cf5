"""Days are whole local days of the site, also where its clocks change."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from itp_events.errors import Refused
from tests.support.study import Study, altered, protocol_in

pytestmark = pytest.mark.requirement("WIN-11")


def in_zone(time_zone: str, calendar: str, enrolled: str, first_infusion_on: str | None = None) -> Study:
    study = Study(protocol=protocol_in(time_zone, calendar))
    study.enrol(enrolled, consent_on=enrolled, first_infusion_on=first_infusion_on)
    return study


def reminded(study: Study, visit: str) -> dict[str, str]:
    """When each reminder of a visit falls due (UTC), as forecast on the day of enrolment."""
    rows = study.plan(max(event.time for event in study.log))["forecast"]
    return {row["step"]: row["due"] for row in rows if row["visit"] == visit}


# Asia/Shanghai, eight hours before UTC


@pytest.fixture
def shanghai() -> Study:
    study = in_zone("Asia/Shanghai", "CN", "2026-01-05")
    study.done("INF1", "2026-01-05")
    return study


@pytest.mark.requirement("WIN-02")
@pytest.mark.parametrize(
    ("utc", "status"),
    [
        ("2026-01-10T15:59:59+00:00", "upcoming"),
        ("2026-01-10T16:00:00+00:00", "open"),
        ("2026-01-13T15:59:59+00:00", "open"),
        ("2026-01-13T16:00:00+00:00", "overdue"),
    ],
)
def test_a_window_opens_and_closes_at_the_sites_midnight(shanghai: Study, utc: str, status: str) -> None:
    assert shanghai.plan(datetime.fromisoformat(utc)).visit("INF2")["status"] == status


def test_the_day_of_a_report_is_the_sites_and_not_that_of_utc(shanghai: Study) -> None:
    early = "2026-01-11T16:30:00+00:00"  # 00:30 on the 12th at the site
    shanghai.done("INF2", "2026-01-12", at=datetime.fromisoformat(early))
    assert shanghai.plan("2026-01-13").visit("INF2")["on"] == "2026-01-12"


def test_a_date_that_has_begun_in_utc_and_not_at_the_site_lies_ahead() -> None:
    study = in_zone("America/New_York", "US", "2026-01-05")
    with pytest.raises(Refused) as refused:
        study.done("INF1", "2026-01-06", at=datetime(2026, 1, 6, 3, tzinfo=UTC))  # 22:00 on the 5th
    assert refused.value.rule == "date-ahead"


def test_the_last_second_of_a_day_and_the_first_of_the_next_are_different_dates(shanghai: Study) -> None:
    with pytest.raises(Refused):
        shanghai.done("INF2", "2026-01-12", at="2026-01-11 23:59:59")
    shanghai.done("INF2", "2026-01-12", at="2026-01-12 00:00:00")


@pytest.mark.requirement("REM-04")
def test_notices_leave_at_nine_local_time(shanghai: Study) -> None:
    assert reminded(shanghai, "INF2")["T"] == "2026-01-12T01:00:00Z"


# Zones with daylight saving


@pytest.mark.requirement("REM-04")
def test_nine_local_time_before_and_after_summer_time_begins() -> None:
    study = in_zone("Europe/Berlin", "DE", "2026-03-24", "2026-03-30")  # clocks go forward on 29 March
    due = reminded(study, "INF1")
    assert due["T-1d"] == "2026-03-27T08:00:00Z"
    assert due["T"] == "2026-03-30T07:00:00Z"


@pytest.mark.requirement("REM-04")
def test_nine_local_time_before_and_after_summer_time_ends() -> None:
    study = in_zone("America/New_York", "US", "2026-10-27", "2026-11-02")  # clocks go back on 1 November
    due = reminded(study, "INF1")
    assert due["T-1d"] == "2026-10-30T13:00:00Z"
    assert due["T"] == "2026-11-02T14:00:00Z"


@pytest.mark.requirement("WIN-02")
@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("America/Santiago", date(2026, 9, 6), 23),
        ("Africa/Cairo", date(2026, 4, 24), 23),
        ("Atlantic/Azores", date(2026, 10, 25), 25),
        ("America/Havana", date(2026, 11, 1), 25),
    ],
)
def test_a_day_with_a_clock_change_is_one_whole_day(zone: str, day: date, hours: int) -> None:
    site = protocol_in(zone, "US").site("01")
    begins, ends = site.midnight(day), site.midnight(day + timedelta(days=1))
    assert ends - begins == timedelta(hours=hours)
    second = timedelta(seconds=1)
    assert site.date_of(begins) == site.date_of(ends - second) == day
    assert site.date_of(begins - second) == day - timedelta(days=1)
    assert site.date_of(ends) == day + timedelta(days=1)


@pytest.mark.requirement("WIN-02")
@pytest.mark.parametrize(
    ("zone", "day", "first_instant"),
    [
        ("America/Santiago", date(2026, 9, 6), datetime(2026, 9, 6, 4, tzinfo=UTC)),
        ("Africa/Cairo", date(2026, 4, 24), datetime(2026, 4, 23, 22, tzinfo=UTC)),
    ],
)
def test_a_day_without_a_midnight_begins_at_its_first_instant(
    zone: str, day: date, first_instant: datetime
) -> None:
    site = protocol_in(zone, "US").site("01")
    assert site.midnight(day) == first_instant
    assert first_instant.astimezone(ZoneInfo(zone)).time() == time(1)


@pytest.mark.requirement("WIN-02")
def test_a_window_opens_on_a_day_without_a_midnight() -> None:
    study = in_zone("America/Santiago", "CL", "2026-08-31")
    study.done("INF1", "2026-08-31")  # INF2: 6 to 8 September, and the 6th begins at 01:00
    opens = datetime(2026, 9, 6, 4, tzinfo=UTC)
    assert study.plan(opens - timedelta(seconds=1)).visit("INF2")["status"] == "upcoming"
    assert study.plan(opens).visit("INF2")["status"] == "open"


def test_a_time_of_day_that_is_skipped_is_the_instant_that_follows() -> None:
    site = protocol_in("Europe/Berlin", "DE").site("01")
    skipped = site.at(date(2026, 3, 29), time(2, 30))
    assert skipped == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert skipped.astimezone(site.zone).time() == time(3, 30)


def test_a_time_of_day_that_comes_twice_is_the_first_of_them() -> None:
    site = protocol_in("Europe/Berlin", "DE").site("01")
    assert site.at(date(2026, 10, 25), time(2, 30)) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_a_report_in_the_doubled_hour_is_of_that_day() -> None:
    study = in_zone("America/New_York", "US", "2026-10-26")
    for hour in (5, 6):  # 01:30 twice
        reported = datetime(2026, 11, 1, hour, 30, tzinfo=UTC)
        study.unscheduled("2026-11-01", at=reported)


@pytest.mark.requirement("SAF-02")
def test_the_sae_clock_counts_hours_and_not_local_days() -> None:
    study = in_zone("Europe/Berlin", "DE", "2026-03-23")
    study.adverse_event("2026-03-28", at="2026-03-28 12:00", serious=True)
    steps = {step: due for step, _, due in study.plan("2026-03-28 12:00").steps("forecast")}
    assert steps["sae-24h"] == "2026-03-29T11:00:00Z"  # 13:00 at the site


@pytest.mark.requirement("WIN-02")
def test_each_site_has_its_own_days() -> None:
    berlin = {"time_zone": "Europe/Berlin", "calendar": "DE", "language": "en", "source": "assumption"}
    protocol = altered(lambda data: data["sites"].update({"02": berlin}))
    for site, zone, opens in (
        ("01", "Asia/Shanghai", "2026-01-10T16:00:00Z"),
        ("02", "Europe/Berlin", "2026-01-10T23:00:00Z"),
    ):
        study = Study(site, protocol=protocol)
        study.enrol("2026-01-05")
        study.done("INF1", "2026-01-05")
        plan = study.plan("2026-01-10 12:00")
        assert (plan["time_zone"], plan["wake_at"]) == (zone, opens)
