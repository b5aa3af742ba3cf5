"""A study whose clock was set back goes on: what it decided later than now stays readable."""

from datetime import UTC, datetime

import pytest

from itp_events.events import Event
from tests.support.study import Study
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("LOG-03")


def _at(day: int, hour: int = 3) -> datetime:
    return datetime(2026, 1, day, hour, tzinfo=UTC)


def _recorded(desk: Desk, event: Event) -> Event:
    [answer] = desk.take(event)
    assert answer.status == "recorded", answer.error
    return event


def _withdrawn(study: Study, at: datetime) -> Event:
    return study.event("itp.withdrawal.decided", "2026-01-15", at, decision="withdraw", reason="moved away")


def test_a_deviation_is_assessed_though_the_clock_was_set_back_by_a_day(desk: Desk) -> None:
    study = Study()
    _recorded(desk, study.enrol("2026-01-05", at=_at(5)))
    desk.wake("ITP-001", _at(13))
    _recorded(desk, study.event("itp.visit.missed", None, _at(14), visit="INF1", reason="ill"))
    decided = _recorded(desk, _withdrawn(study, _at(15)))
    _recorded(desk, study.void(decided, _at(16)))

    _recorded(desk, _withdrawn(study, _at(15, 4)))
    # A rung of the void's day is withdrawn by a decision that bears the day before.
    deviation = "ITP-001/INF1/missed"
    assessed = study.event(
        "itp.deviation.assessed", None, _at(15, 5), by="inv-01", deviation=deviation, important=False
    )
    _recorded(desk, assessed)
