"""An event that was in order when it was reported stays so in a file of a whole year; wakes miss nothing."""

import pytest

from itp_events.errors import Refused
from itp_events.events import NoticeWithdrawn
from itp_events.rules.subject import fold
from tests.support.study import Study, issued

pytestmark = pytest.mark.requirement("INT-02", "OUT-01")


def test_a_years_file_may_hold_bookings_of_visits_that_were_recorded_later() -> None:
    study = Study()
    enrolment = study.enrolment("2026-01-05")
    booked = study.event("itp.visit.booked", "2026-01-13", "2026-01-08", visit="INF2")
    done = study.event("itp.visit.completed", "2026-01-13", "2026-01-13 15:00", visit="INF2")
    first = study.event("itp.visit.completed", "2026-01-05", "2026-01-05 14:00", visit="INF1")
    judgement = study.judge(enrolment, booked, done, first, now="2026-12-31")
    assert [str(verdict.error) for verdict in judgement.verdicts if verdict.error] == []


def test_an_acknowledgement_of_a_visit_that_was_entered_late_is_accepted_in_one_file_with_it() -> None:
    study = Study()
    study.enrol("2026-01-05")
    study.done("INF1", "2026-01-05")
    acknowledged = study.event("itp.escalation.acknowledged", None, "2026-01-16", visit="INF2")
    entered_late = study.event("itp.visit.completed", "2026-01-12", "2026-01-19", visit="INF2")
    judgement = study.judge(entered_late, acknowledged, now="2026-02-01")
    assert [verdict.status for verdict in judgement.verdicts] == ["accepted", "accepted"]


def test_a_booking_after_the_visit_was_recorded_is_refused_all_the_same() -> None:
    study = Study()
    study.enrol("2026-01-05")
    study.done("INF1", "2026-01-05")
    with pytest.raises(Refused, match="completed on 5 Jan 2026 already"):
        study.state("itp.visit.booked", "2026-01-07", "2026-01-06", visit="INF1")


def test_a_reminder_that_does_not_leave_is_withdrawn_at_the_instant_at_which_it_loses_its_use() -> None:
    study = Study()
    study.hands_over = False
    study.enrol("2026-01-05", at="2026-01-05 08:00")
    study.done("INF1", "2026-01-05")
    decided = study.live_until("2026-01-12 12:00")
    assert "ITP-001/INF2/T-3d/cell-lab/2026-01-12" in issued(decided)
    [withdrawn] = [
        (event.time, event.data.reason)
        for decision in decided
        for event in decision.events
        if isinstance(event.data, NoticeWithdrawn) and "INF2/T-3d/cell-lab/" in event.data.notice
    ]
    assert withdrawn == (study.instant("2026-01-12"), "no longer of use")


def test_a_subject_that_goes_on_from_its_last_decision_is_the_one_folded_from_the_log() -> None:
    study = Study()
    study.enrol("2026-01-05")
    study.done("INF1", "2026-01-05")
    before = study.folded()
    decision = study.decide("2026-01-20")
    assert before.decided(decision.events, study.handed) == fold(study.protocol, study.log, study.handed)
    assert before.decision_log == study.folded().decision_log.of(
        event for event in study.log[:2] if event.own
    )
