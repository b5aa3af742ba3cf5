"""One subject from enrolment to month 12, through the running service, with a clock that runs fast."""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta

import pytest

from itp_events.events import Completed, NoticeIssued, NoticeSuperseded
from itp_events.rules.state import subject_state
from itp_events.rules.subject import fold
from tasks.database.queries import NoticeRow, handed, history, log_lines, notices_of
from tests.support.service import SITE, Service, event
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("RUN-02")

INFUSIONS = ["INF1", "INF2", "INF3", "INF4", "INF5"]
FOLLOW_UP = ["FU-D14", "FU-M1", "FU-M2", "FU-M3", "FU-M6", "FU-M9", "FU-M12"]
# What the protocol asks for before a visit, and to whom; the last day's reminder is for who is late.
STEPS = {
    "INF": {("T-7d", "coordinator"), ("T-3d", "cell-lab"), ("T-1d", "coordinator"), ("T", "coordinator")},
    "FU-": {("T-14d", "coordinator"), ("T-3d", "coordinator"), ("T", "coordinator")},
}


def target(service: Service, code: str, visit: str) -> date:
    """The visit's target date as it stands."""
    study = service.study
    now = study.clock.now()
    subject = fold(study.protocol, history(study.store, code), handed(study.store, code))
    return next(each.target for each in subject_state(subject, now).visits if each.code == visit)


def at_ten(day: date) -> datetime:
    """Ten o'clock at the site: an hour after the day's reminders."""
    return datetime.combine(day, time(10), SITE).astimezone(UTC)


def wake_until(service: Service, code: str, instant: datetime) -> None:
    """Let the subject be woken whenever something is due before an instant, then move the clock there."""
    while (wake := service.subject(code).wake_at) is not None and wake < instant:
        service.wait_for_wake(code, service.bring_forward(code, 0.2))
    service.move_clock_to(instant)


def complete(service: Service, code: str, visit: str, on: date) -> None:
    """Record the visit as done, as `itp record` would, on the day itself."""
    now = service.study.clock.now()
    [answer] = service.record(event("visit.completed", code, now, {"visit": visit, "on": on.isoformat()}))
    assert answer.status == "recorded", answer.error


def decided(service: Service, code: str) -> Counter[tuple[str, str, str]]:
    """Every reminder that was decided, sent or superseded: visit, step and audience."""
    found: Counter[tuple[str, str, str]] = Counter()
    for each in history(service.study.store, code):
        if isinstance(each.data, NoticeIssued) and each.data.kind == "reminder":
            found[each.data.visit or "", each.data.step, each.data.audience] += 1
        elif isinstance(each.data, NoticeSuperseded):
            _, visit, step, audience = each.data.notice.split("/")[:4]
            found[visit, step, audience] += 1
    return found


def sent(service: Service, code: str) -> list[NoticeRow]:
    """The notices that were handed over."""
    return [row for row in notices_of(service.study.store, code) if row.handed_at is not None]


def waiting(service: Service, code: str) -> list[str]:
    """The notices that are still to be handed over."""
    return [row.key for row in notices_of(service.study.store, code) if row.status == "queued"]


@pytest.mark.timeout(900)
def test_one_flow_run_carries_a_subject_from_enrolment_to_month_12(travelling: Service) -> None:
    service, code = travelling, "ITP-503"
    friday = service.begin_week() + timedelta(days=4)
    service.enrol(code, first_infusion_on=friday.isoformat())
    run = service.wait_for_run(code, service.is_shown(code), "to wait")
    for visit in [*INFUSIONS, *FOLLOW_UP]:
        day = target(service, code, visit)
        wake_until(service, code, at_ten(day))
        # Else a reminder that is on its way would arrive after its visit was stated.
        wait_until(lambda: not waiting(service, code), f"what is due before {visit} to be handed over")
        complete(service, code, visit, day)

    ended = service.wait_for_run(code, lambda now: now.state_type == "COMPLETED", "to end")
    assert ended.id == run.id
    assert ended.state_name == "Completed"
    row = service.subject(code)
    assert (row.state, row.exited, row.wake_at) == ("Completed", True, None)

    wanted = {(visit, *step) for visit in [*INFUSIONS, *FOLLOW_UP] for step in STEPS[visit[:3]]}
    assert set(decided(service, code)) == wanted
    assert set(decided(service, code).values()) == {1}
    received = all_received(service, code)
    assert set(received.values()) == {1}
    assert reminded_too_late(service, code) == []


def all_received(service: Service, code: str) -> Counter[tuple[str, str, str]]:
    """What arrived about the subject, by audience and text: what was handed over, once it is there."""

    def received() -> Counter[tuple[str, str, str]]:
        texts = ((each.path.strip("/"), each.body) for each in service.told(code))
        return Counter((audience, body["title"], body["message"]) for audience, body in texts)

    def handed_over() -> Counter[tuple[str, str | None, str | None]]:
        return Counter((row.audience, row.title, row.body) for row in sent(service, code))

    wait_until(lambda: received() == handed_over(), "what was handed over to arrive, and nothing else")
    return received()


def reminded_too_late(service: Service, code: str) -> list[str]:
    """The reminders that were handed over after their visit had been recorded."""
    lines = log_lines(service.study.store, code)
    done = {
        each.event.data.visit: each.recorded_at for each in lines if isinstance(each.event.data, Completed)
    }
    reminders = (row for row in sent(service, code) if row.kind == "reminder" and row.visit in done)
    return [row.key for row in reminders if row.handed_at and row.handed_at > done[row.visit or ""]]


@pytest.mark.requirement("LAD-01")
@pytest.mark.timeout(900)
def test_two_missed_visits_in_a_row_both_escalate(travelling: Service) -> None:
    service, code = travelling, "ITP-504"
    monday = service.begin_week()
    service.enrol(code, first_infusion_on=monday.isoformat())
    complete(service, code, "INF1", monday)
    escalated: set[str | None] = set()
    for _ in range(60):
        service.wait_for_wake(code, service.bring_forward(code, 0.2))
        escalated = {row.visit for row in sent(service, code) if row.step == "rung-1"}
        if escalated >= {"INF2", "INF3"}:
            break
    assert escalated == {"INF2", "INF3"}
    all_received(service, code)


@pytest.mark.requirement("WDR-02")
def test_death_ends_the_journey_of_a_subject_who_waits(running: Service) -> None:
    code = "ITP-311"
    running.enrol(code)
    run = running.wait_for_run(code, running.is_shown(code), "to wait")
    now = running.study.clock.now()
    today = now.astimezone(SITE).date().isoformat()
    report = {"ae": "ae-1", "term": "intracranial haemorrhage", "grade": 5, "serious": True, "related": False}
    running.record(
        event("adverse-event.reported", code, now, report | {"on": today}),
        event("sae.submitted", code, now, {"ae": "ae-1", "on": today}),
        event("subject.died", code, now, {"on": today}),
    )
    ended = running.wait_for_run(code, lambda shown: shown.state_type == "COMPLETED", "to end")
    assert (ended.id, ended.state_name) == (run.id, "Withdrawn: DEATH")
