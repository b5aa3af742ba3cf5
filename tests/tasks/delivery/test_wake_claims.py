"""What a wake makes due is claimed in the wake's own transaction, just as a claim after it would."""

from datetime import datetime

import pytest

from tasks.advance import Advanced, advance
from tasks.database.queries import subject
from tasks.database.store import Store
from tasks.delivery.claiming import ClaimAtOnce
from tasks.delivery.claims import Clocks
from tasks.delivery.deliver import hand_over_claimed
from tests.support import Receiver
from tests.support.asked import asked_of
from tests.support.study import Study
from tests.tasks.delivery.test_claim_at_once import said
from tests.tasks.desk import ENROLLED_AT, Desk

pytestmark = pytest.mark.requirement("DLV-01")

# A reminder, its rungs, the next visits' reminders, misses and the decision that they ask for.
WAKES = 30


def _next(desk: Desk, code: str) -> datetime:
    row = subject(desk.store, code)
    assert row is not None
    assert row.wake_at is not None, "nothing is due any more"
    return row.wake_at


def _woken(desk: Desk, code: str) -> tuple[Advanced, ClaimAtOnce]:
    at = _next(desk, code)
    claiming = ClaimAtOnce(desk.context, Clocks(at, at))
    return advance(desk.store, desk.protocol, code, at, at_once=claiming), claiming


def test_of_a_subject_whom_everybody_forgets_each_wake_claims_what_a_claim_would(
    desk: Desk, told: Receiver, sqlite_url: str
) -> None:
    plain, study = Desk(Store.open(sqlite_url + ".plain"), channels=desk.channels), Study()
    enrolled, claimed = study.enrol(), set[str]()
    for each in (desk, plain):
        each.take(enrolled)
        each.hand_over(ENROLLED_AT)
    at = ENROLLED_AT
    for _ in range(WAKES):
        at = _next(plain, study.code)
        advanced, claiming = _woken(desk, study.code)
        assert advanced == plain.wake(study.code, at)
        after = plain.claim(at)
        assert said(claiming.claims) == said(after)
        hand_over_claimed(desk.context, study.code, claiming.claims)
        hand_over_claimed(plain.context, study.code, after)
        claimed |= {each.notice for each in after}
    assert len(claimed) > WAKES / 2
    assert desk.claim(at) == []
    plain.store.close()


def test_a_wake_asks_for_nothing_more_than_a_door_does(desk: Desk, told: Receiver) -> None:
    study = Study()
    desk.take(study.enrol())
    desk.hand_over(ENROLLED_AT)
    with asked_of(desk.store) as asked:
        while not _woken(desk, study.code)[1].claims:
            asked.clear()
    assert [word for word in asked if word not in ("BEGIN", "SET")][1:] == [
        *("SELECT", "SELECT"),  # together: the subject, and what is known
        "SELECT",  # whose recipients stand, and who is on duty
        # Together: the subject's row, its events, notices with their texts.
        *("UPDATE", "INSERT", "INSERT"),
        *("INSERT", "INSERT"),  # deliveries, attempts
    ]
