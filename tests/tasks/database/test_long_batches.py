"""Long batches are judged before the lock is taken: nobody waits for them, and their outcome is the same."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itp_events.events import Event
from itp_events.intake import batch as intake
from tasks import advance as advancing
from tasks.advance import LONG, Answer
from tasks.database.queries import history
from tests.support.databases import migrated_sqlite
from tests.support.study import Study
from tests.tasks.desk import ENROLLED_AT, Desk, later

pytestmark = pytest.mark.requirement("INT-03")

DAY = "2026-01-06"
LATER = later(ENROLLED_AT, days=2)


def contacts(study: Study, count: int) -> list[Event]:
    """So many attempts to reach the subject, all on one day; not recorded."""
    return [study.event("itp.contact.attempted", DAY, reached=True) for _ in range(count)]


@dataclass
class Halted:
    """Judging that stands still each time it has begun, as often as `times`, until `goes_on` is set."""

    times: int = 1
    begun: threading.Event = field(default_factory=threading.Event)
    goes_on: threading.Event = field(default_factory=threading.Event)
    judged: int = 0

    def judge(self, *given: Any) -> Any:
        """Judge as always, at last."""
        if len(given[2]) > LONG:
            self.judged += 1
            if self.judged <= self.times:
                self.begun.set()
                assert self.goes_on.wait(60)
        return _judge(*given)


_judge = intake.judge


@pytest.fixture
def halted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Halted]:
    halted = Halted()
    monkeypatch.setattr(advancing, "judge", halted.judge)
    yield halted
    halted.goes_on.set()


def recorded(desk: Desk, code: str = "ITP-001") -> list[str]:
    """The types of what people stated of a subject, in the log's order."""
    return [event.type for event in history(desk.store, code) if not event.own]


def test_nobody_waits_while_a_long_batch_is_judged(desk: Desk, study: Study, halted: Halted) -> None:
    other = Study(code="ITP-002")
    desk.take(study.enrol())
    with ThreadPoolExecutor(1) as pool:
        batch = pool.submit(desk.take, *contacts(study, LONG + 1), now=LATER)
        assert halted.begun.wait(60)
        assert [answer.status for answer in desk.take(other.enrol(event_id="other"))] == ["recorded"]
        desk.wake("ITP-001", later(ENROLLED_AT, hours=1))
        assert not batch.done()
        halted.goes_on.set()
        assert {answer.status for answer in batch.result()} == {"recorded"}
    assert recorded(desk) == ["itp.subject.enrolled"] + ["itp.contact.attempted"] * (LONG + 1)


def test_a_long_batch_is_judged_by_what_was_recorded_meanwhile(
    desk: Desk, study: Study, halted: Halted
) -> None:
    desk.take(study.enrol())
    stated = contacts(study, LONG + 1)
    with ThreadPoolExecutor(1) as pool:
        batch = pool.submit(desk.take, *stated, now=LATER)
        assert halted.begun.wait(60)
        desk.take(study.event("itp.consent.withdrawn", "2026-01-05", scope="study"), now=LATER)
        halted.goes_on.set()
        assert {answer.status for answer in batch.result()} == {"refused"}
    assert halted.judged == 2
    assert recorded(desk) == ["itp.subject.enrolled", "itp.consent.withdrawn"]


def test_a_long_batch_about_a_busy_subject_is_recorded_at_last(
    desk: Desk, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.take(study.enrol())
    judged = 0

    def interrupted(*given: Any) -> Any:
        nonlocal judged
        found = _judge(*given)
        if len(given[2]) > LONG and (judged := judged + 1) <= advancing.TRIES_AHEAD:
            # Somebody is always faster, for as long as nobody holds the lock.
            desk.take(*contacts(study, 1), now=LATER)
        return found

    monkeypatch.setattr(advancing, "judge", interrupted)
    answers = desk.take(*contacts(study, LONG + 1), now=LATER)
    assert {answer.status for answer in answers} == {"recorded"}
    assert judged == advancing.TRIES_AHEAD + 1
    assert len(recorded(desk)) == 1 + LONG + 1 + advancing.TRIES_AHEAD


def statements(study: Study) -> list[Event]:
    """Events of many kinds, some of which contradict others."""
    enrolled = study.enrolment()
    done = study.event("itp.visit.completed", DAY, visit="INF1", platelets=20)
    return [
        enrolled,
        enrolled,
        study.enrolment(screening={"age_years": 80}),
        done,
        study.event("itp.visit.completed", DAY, visit="INF1", platelets=30),
        study.void(done, f"{DAY} 12:00"),
        study.event("itp.visit.booked", "2026-01-13", f"{DAY} 12:00", visit="INF2"),
        study.event(
            "itp.adverse-event.reported", DAY, ae="AE-1", term="x", grade=4, serious=True, related=True
        ),
        study.event("itp.visit.completed", DAY, visit="INF3"),
        study.event("itp.contact.attempted", DAY, reached=False),
        study.event("itp.consent.withdrawn", DAY, scope="treatment"),
        study.event("itp.subject.died", DAY),
    ]


def taken(path: Path, batches: list[list[Event]], now: datetime) -> tuple[list[Any], list[Any]]:
    """What a fresh study answers to the batches, and what it holds then."""
    desk = Desk.open(migrated_sqlite(path))
    answers = [shown(answer) for batch in batches for answer in desk.take(*batch, now=now)]
    found = [event.to_json() for event in history(desk.store, "ITP-001")]
    desk.store.close()
    path.unlink()
    return answers, found


def shown(answer: Answer) -> tuple[Any, ...]:
    """An answer as values that can be compared."""
    return answer.event.key, answer.status, str(answer.error), answer.advanced


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_batch_has_the_same_outcome_whether_it_is_judged_ahead_or_under_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    known = statements(Study())
    batches = data.draw(st.lists(st.lists(st.sampled_from(known), min_size=1, max_size=8), max_size=3))
    outcomes = []
    for longest in (-1, 1000):
        with monkeypatch.context() as limits:
            limits.setattr(advancing, "LONG", longest)
            outcomes.append(taken(tmp_path / "study.db", batches, LATER))
    assert outcomes[0] == outcomes[1]
