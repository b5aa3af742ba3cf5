"""What an event makes due is claimed in the door's own transaction, just as a claim after it would."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from itp_events.events import Event
from itp_events.intake.batch import Judgement
from tasks.advance import TOGETHER, record
from tasks.database import event_log
from tasks.database.queries import NoticeRow
from tasks.database.store import Store
from tasks.delivery import claiming
from tasks.delivery.claiming import ClaimAtOnce, claim
from tasks.delivery.claims import Claim, Clocks
from tasks.delivery.deliver import hand_over_claimed
from tests.itp_events.journey import Journey
from tests.support import Receiver
from tests.support.asked import asked_of
from tests.support.databases import migrated_sqlite
from tests.support.study import Study
from tests.tasks.desk import ENROLLED_AT, Desk, ReportedLate, later, outcomes

pytestmark = pytest.mark.requirement("DLV-01")

LATER = later(ENROLLED_AT, seconds=1)
Stated = Callable[[Study], Event]

STATED: dict[str, Stated] = {
    "adverse event": lambda study: study.adverse_event("2026-01-05", at=LATER, serious=True),
    "withdrawal": lambda study: study.withdrew("2026-01-05", at=LATER),
    "infusion": lambda study: study.done("INF1", "2026-01-05", at=LATER),
    "booking": lambda study: study.booked("INF1", "2026-01-20", at=LATER),
    "medication": lambda study: study.medication("rescue", "2026-01-05", at=LATER),
}


@pytest.fixture
def study() -> Study:
    """What happens to ITP-001, of whom one notice is due at the enrolment."""
    return ReportedLate()


def taken(desk: Desk, *events: Event, now: datetime | None = None) -> Sequence[Claim]:
    """What the door claims of the subject at once."""
    [*_, answer] = desk.take(*events, now=now, at_once=True)
    assert answer.advanced
    return desk.claimed


@pytest.mark.parametrize("what", STATED)
def test_it_is_what_a_claim_after_the_door_takes(
    desk: Desk, study: Study, told: Receiver, tmp_path: Path, what: str
) -> None:
    plain = Desk(Store.open(migrated_sqlite(tmp_path / "plain.db")), channels=desk.channels)
    enrolled = study.enrol()
    stated = STATED[what](study)
    for each in (desk, plain):
        each.take(enrolled)
        each.hand_over(ENROLLED_AT)
    at_once = taken(desk, stated)
    plain.take(stated)
    after = plain.claim(LATER)
    assert said(at_once) == said(after)
    assert _open(desk.notices()) == _open(plain.notices())
    assert desk.attempts()[1:] == plain.attempts()[1:]
    plain.store.close()


def said(claimed: Sequence[Claim]) -> list[Claim]:
    """Claims without the numbers that each database gives, and without the machine's clock."""
    same = [replace(each, delivery=0, at=Clocks(each.at.now, each.at.wall, 0.0)) for each in claimed]
    return sorted(same, key=lambda each: (each.notice, each.recipient.id))


def _open(notices: Sequence[NoticeRow]) -> list[NoticeRow]:
    return [each for each in notices if each.status == "queued"]


class Stating(Journey):
    """A subject of whom each batch that is stated is kept, to be given to desks."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[tuple[Event, ...]] = []

    def judge(self, *events: Event, now: object = None) -> Judgement:
        """Keep the batch, and go on as ever."""
        self.batches.append(events)
        return super().judge(*events, now=now)


def _care(study: Stating) -> None:
    study.treated("2026-01-05", "2026-01-12")
    study.booked("INF3", "2026-01-30", at="2026-01-15")
    study.medication("rescue", "2026-01-20")
    study.done("INF3", "2026-02-05", cells_given=7.0e9)
    study.adverse_event("2026-02-06", serious=True, ae="AE-1")
    for at in ("2026-02-07 08:00", "2026-02-07 12:00"):
        study.contact("2026-02-07", reached=True, at=at)
    study.pregnant("2026-02-08")
    study.withdrew("2026-02-10")


def _orders(study: Stating) -> None:
    study.treated("2026-01-05", "2026-01-14")
    study.contact("2026-01-24", reached=True)
    study.booked("INF3", "2026-01-30", at="2026-01-25")


def _ladder(study: Stating) -> None:
    study.enrol()
    for on in ("2026-01-08", "2026-01-13", "2026-01-16", "2026-01-20"):
        study.contact(on, reached=False)


def _correction(study: Stating) -> None:
    enrolled = study.enrol(screening={"age_years": 17}, consent_by="guardian", assent_on="2025-12-20")
    data = enrolled.to_json()["data"]
    data["screening"] |= {"ast_x_uln": 3.4}
    on = data.pop("on")
    corrected = study.event("itp.subject.enrolled", on, "2026-01-06", **data)
    study.record(study.void(enrolled, "2026-01-06"), corrected)


def _last_visit(study: Stating) -> None:
    study.at_last_visit()
    study.missed("FU-M12", at="2027-03-03 15:00")


LIVES: dict[str, tuple[Callable[[Stating], None], set[str]]] = {
    "care": (
        _care,
        {"booking-out-of-window", "flag", "out-of-window", "infusion-on-hold", "dose-deviation"}
        | {"sae", "sae-20h", "sae-24h", "treatment-stopped", "exit", "decision"},
    ),
    "orders": (_orders, {"T-3d", "stand-down"}),
    "ladder": (_ladder, {"T", "rung"}),
    "correction": (_correction, {"majority", "eligibility"}),
    "last visit": (_last_visit, {"disposition"}),
}


@pytest.mark.parametrize("life", LIVES)
def test_each_kind_of_notice_says_and_weighs_what_it_would_in_a_claim_after_the_door(
    desk: Desk, told: Receiver, tmp_path: Path, life: str
) -> None:
    plain = Desk(Store.open(migrated_sqlite(tmp_path / "plain.db")), channels=desk.channels)
    study = Stating()
    live, kinds = LIVES[life]
    live(study)
    found = {claimed.notice for claimed in _told_alike(desk, plain, study)}
    steps = {each.step for each in desk.notices() if each.key in found}
    assert kinds <= {step if step in kinds else step.split("-")[0] for step in steps}
    plain.store.close()


def _told_alike(desk: Desk, plain: Desk, study: Stating) -> Iterator[Claim]:
    for batch in study.batches:
        at = max(event.time for event in batch)
        at_once = taken(desk, *batch)
        plain.take(*batch)
        # Where something is due again, all is left to the claim.
        claimed, after = at_once or desk.claim(at), plain.claim(at)
        assert said(claimed) == said(after)
        yield from at_once
        for each, sent in ((desk, claimed), (plain, after)):
            hand_over_claimed(each.context, study.code, sent)


def test_nothing_is_looked_up_for_it_but_whose_recipients_stand_and_who_is_on_duty(
    desk: Desk, study: Study, told: Receiver
) -> None:
    desk.take(study.enrol())
    desk.hand_over(ENROLLED_AT)
    stated = study.adverse_event("2026-01-05", at=LATER, serious=True)
    with asked_of(desk.store) as asked:
        assert len(taken(desk, stated)) == 2
    assert [word for word in asked if word != "BEGIN"] == [
        # Together: the subject, what is known of it, whose recipients stand and who is on duty.
        *("SELECT", "SELECT", "SELECT"),
        # Together: the subject's row, its events, notices with their texts, their deliveries.
        *("UPDATE", "INSERT", "INSERT", "INSERT"),
        "INSERT",  # attempts
    ]


def test_what_was_claimed_is_sent_and_its_outcome_recorded(desk: Desk, study: Study, told: Receiver) -> None:
    claimed = taken(desk, study.enrol())
    hand_over_claimed(desk.context, study.code, claimed)
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


def others(count: int) -> list[Study]:
    """So many subjects besides ITP-001."""
    studies: list[Study] = [ReportedLate(code=f"ITP-{number:03}") for number in range(2, count + 2)]
    for number, study in enumerate(studies, 1):
        study.last_id = 100 * number
    return studies


def test_the_notices_of_a_few_subjects_are_claimed_in_their_one_transaction(
    desk: Desk, study: Study, told: Receiver
) -> None:
    together = [study, *others(TOGETHER - 1)]
    answers = desk.take(*[each.enrol() for each in together], at_once=True)
    assert {answer.status for answer in answers} == {"recorded"}
    claimed = [(claim.notice.split("/")[0], claim.attempt) for claim in desk.claimed]
    assert claimed == [(each.code, 1) for each in together]
    for each in together:
        assert desk.claim(LATER, each.code) == [], "it is on its way"
        whose = [claim for claim in desk.claimed if claim.notice.startswith(each.code)]
        hand_over_claimed(desk.context, each.code, whose)
    assert len(told.requests) == TOGETHER
    assert {row.outcome for each in together for row in desk.attempts(each.code)} == {"sent"}


def test_events_about_many_subjects_are_left_to_the_claim(desk: Desk, study: Study, told: Receiver) -> None:
    many = [study, *others(TOGETHER)]
    answers = desk.take(*[each.enrol() for each in many], at_once=True)
    assert {answer.status for answer in answers} == {"recorded"}
    assert desk.claimed == ()
    assert len(desk.hand_over(ENROLLED_AT, subject=None)) == len(many)


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
        broken.setattr(claiming, "render", no_text)
        [answer] = desk.take(study.enrol(), at_once=True)
    assert answer.status == "recorded"
    assert answer.advanced
    assert desk.claimed == ()
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


def test_what_a_lost_race_had_claimed_is_not_sent(
    desk: Desk, study: Study, told: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction is run again from its beginning, and only what the last one took counts."""
    tries: list[int] = []
    keep = event_log.keep_refusals

    def lose_the_first(*given: Any) -> None:
        keep(*given)
        tries.append(len(tries))
        if len(tries) == 1:
            raise sa.exc.IntegrityError("another was first", None, Exception())

    monkeypatch.setattr(event_log, "keep_refusals", lose_the_first)
    claimed = taken(desk, study.enrol())
    assert len(tries) == 2
    hand_over_claimed(desk.context, study.code, claimed)
    assert len(told.requests) == 1
    assert outcomes(desk.attempts()) == ["sent"]


def test_its_lease_follows_the_machines_clock(desk: Desk, study: Study, told: Receiver) -> None:
    """A demonstration's days pass in seconds: they end no lease."""
    wall = later(ENROLLED_AT, hours=500)
    claiming = ClaimAtOnce(desk.context, Clocks(ENROLLED_AT, wall))
    [answer] = record(desk.store, desk.protocol, [study.enrol()], ENROLLED_AT, claiming)
    assert answer.advanced
    assert len(claiming.claims) == 1
    soon, over = later(wall, seconds=59), later(wall, seconds=61)
    hours_later = later(ENROLLED_AT, hours=1)
    assert claim(desk.context, study.code, Clocks(hours_later, soon)) == []
    assert [each.repeated for each in claim(desk.context, study.code, Clocks(hours_later, over))] == [True]


def test_whom_it_tells_when_the_channels_change_before_it_is_taken_over(
    desk: Desk, study: Study, told: Receiver, tmp_path: Path
) -> None:
    """Whoever has gone from the configuration is given up, and who is there now is told in their place."""
    assert taken(desk, study.enrol())
    desk.configure(tmp_path / "apprise.txt", f"coordinator={told.apprise_url('successor')}")
    desk.hand_over(later(ENROLLED_AT, seconds=61), subject=None)
    assert [request.path.strip("/") for request in told.requests] == ["successor"]
    assert [each.status for each in desk.notices()] == ["delivered"]
