"""What an event makes due is claimed in the door's own transaction, just as a claim after it would."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

import pytest
import sqlalchemy as sa

from itp_events.events import Event
from tasks import claims
from tasks.claim import Claim, Moment
from tasks.notify import hand_over_claimed
from tasks.queries import NoticeRow
from tasks.store import Store
from tests.support import Receiver
from tests.support.study import Study
from tests.tasks.desk import ENROLLED_AT, Desk, later, outcomes

LATER = later(ENROLLED_AT, seconds=1)
Stated = Callable[[Study], Event]

STATED: dict[str, Stated] = {
    "adverse event": lambda study: study.adverse_event("2026-01-05", at=LATER, serious=True),
    "withdrawal": lambda study: study.withdrew("2026-01-05", at=LATER),
    "infusion": lambda study: study.done("INF1", "2026-01-05", at=LATER),
    "booking": lambda study: study.booked("INF1", "2026-01-20", at=LATER),
    "medication": lambda study: study.medication("rescue", "2026-01-05", at=LATER),
}


def taken(desk: Desk, *events: Event, now: datetime | None = None) -> Sequence[Claim]:
    """What the door claims of the subject at once."""
    [*_, answer] = desk.take(*events, now=now, at_once=True)
    assert answer.advanced
    return answer.advanced.claims


@pytest.mark.parametrize("what", STATED)
def test_it_is_what_a_claim_after_the_door_takes(
    desk: Desk, study: Study, told: Receiver, sqlite_url: str, what: str
) -> None:
    plain = Desk(Store.open(sqlite_url + ".plain"), channels=desk.channels)
    enrolled = study.enrol()
    stated = STATED[what](study)
    for each in (desk, plain):
        each.take(enrolled)
        each.hand_over(ENROLLED_AT)
    at_once = taken(desk, stated)
    plain.take(stated)
    after = plain.claim(LATER)
    assert _said(at_once) == _said(after)
    assert _open(desk.notices()) == _open(plain.notices())
    assert desk.attempts()[1:] == plain.attempts()[1:]
    plain.store.close()


def _said(claimed: Sequence[Claim]) -> list[Claim]:
    """Claims without the numbers that each database gives, and without the machine's clock."""
    same = [replace(each, delivery=0, at=Moment(each.at.now, each.at.wall, 0.0)) for each in claimed]
    return sorted(same, key=lambda each: (each.notice, each.recipient.id))


def _open(notices: Sequence[NoticeRow]) -> list[NoticeRow]:
    return [each for each in notices if each.status == "queued"]


def test_nothing_is_looked_up_for_it(desk: Desk, study: Study, told: Receiver) -> None:
    desk.take(study.enrol())
    desk.hand_over(ENROLLED_AT)
    stated = study.adverse_event("2026-01-05", at=LATER, serious=True)
    asked: list[str] = []
    sa.event.listen(
        desk.store.engine, "before_cursor_execute", lambda *call: asked.append(call[2].split()[0])
    )
    assert len(taken(desk, stated)) == 2
    assert [word for word in asked if word != "BEGIN"] == [
        *("SELECT", "SELECT"),  # the subject, and what is known
        *("INSERT", "INSERT", "UPDATE"),  # events, notices, where the subject stands
        *("UPDATE", "INSERT", "INSERT"),  # what the notices say, deliveries, attempts
    ]


def test_what_was_claimed_is_sent_and_its_outcome_recorded(desk: Desk, study: Study, told: Receiver) -> None:
    claimed = taken(desk, study.enrol())
    hand_over_claimed(desk.office, study.code, claimed)
    assert len(told.requests) == 1
    assert outcomes(desk.attempts()) == ["sent"]
    assert desk.hand_over(LATER, subject=None) == []
    assert len(told.requests) == 1


def test_nobody_else_takes_it_meanwhile(desk: Desk, study: Study, told: Receiver) -> None:
    assert taken(desk, study.enrol())
    assert desk.claim(LATER) == []


def test_a_door_that_died_before_it_sent_leaves_it_to_the_next_sender(
    desk: Desk, study: Study, told: Receiver
) -> None:
    assert taken(desk, study.enrol())
    desk.hand_over(later(ENROLLED_AT, seconds=61), subject=None)
    assert [request.body["title"][:20] for request in told.requests] == ["[possibly repeated] "]
    assert outcomes(desk.attempts()) == ["unknown", "sent"]


def test_events_about_several_subjects_are_left_to_the_claim(
    desk: Desk, study: Study, told: Receiver
) -> None:
    other = Study(code="ITP-002")
    other._stated = 100
    answers = desk.take(study.enrol(), other.enrol(), at_once=True)
    assert [answer.advanced.claims for answer in answers if answer.advanced] == [(), ()]
    assert len(desk.hand_over(ENROLLED_AT, subject=None)) == 2


def test_an_event_whose_notice_cannot_be_put_into_words_is_recorded(
    desk: Desk,
    study: Study,
    told: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def no_text(*_: object) -> None:
        raise KeyError("no text")

    with monkeypatch.context() as broken, caplog.at_level(logging.ERROR):
        broken.setattr(claims, "render", no_text)
        [answer] = desk.take(study.enrol(), at_once=True)
    assert answer.status == "recorded"
    assert answer.advanced
    assert answer.advanced.claims == ()
    assert answer.advanced.due_notices
    assert "ITP-001" in caplog.text
    assert len(desk.hand_over(LATER, subject=None)) == 1


def test_a_notice_that_is_due_again_is_left_to_the_claim(desk: Desk, study: Study, told: Receiver) -> None:
    desk.take(study.enrol())
    first = study.booked("INF1", "2026-01-06", at=LATER)
    desk.take(first)
    withdrawn = [notice.key for notice in desk.notices() if notice.status == "withdrawn"]
    assert withdrawn
    at = later(LATER, seconds=1)
    assert taken(desk, study.void(first, at)) == ()
    assert {notice.key for notice in desk.notices() if notice.status == "queued"} == set(withdrawn)
    assert {each.notice for each in desk.claim(at)} == set(withdrawn)
