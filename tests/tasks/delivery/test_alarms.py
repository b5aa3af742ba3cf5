"""Tests that `ops` is told of troubles that a person must mend."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from tasks.database.schema import notices
from tasks.database.troubles import note_trouble, settle_trouble
from tasks.delivery import alarms
from tasks.delivery.claims import Clocks
from tasks.delivery.deliver import hand_over_one
from tests.support import Receiver
from tests.tasks.desk import ENROLLED_AT, Desk

pytestmark = pytest.mark.requirement("RUN-07")

WHAT = "ITP-001: its log cannot be read"
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def _sweep(desk: Desk, after: timedelta) -> None:
    """Tell of the troubles, and hand over, so long after the trouble began."""
    at = ENROLLED_AT + after
    alarms.tell(desk.store, at)
    hand_over_one(desk.context, None, Clocks(at, at))


def _statuses(desk: Desk) -> list[str]:
    with desk.store.reading() as connection:
        return list(connection.scalars(sa.select(notices.c.status).order_by(notices.c.queued_at)))


def test_ops_is_told_once_of_what_a_person_must_mend_and_again_after_a_day(
    desk: Desk, told: Receiver
) -> None:
    note_trouble(desk.store, "ITP-001", WHAT, ENROLLED_AT)
    for minutes in (0, 1, 2, 3, 60, 23 * 60):
        _sweep(desk, minutes * MINUTE)
    [said] = told.at("ops")
    assert "ITP-001" in said.body["title"]
    assert WHAT in said.body["message"]

    _sweep(desk, DAY + 3 * MINUTE)
    assert len(told.at("ops")) == 2


def test_what_mends_itself_within_moments_is_told_to_nobody(desk: Desk, told: Receiver) -> None:
    note_trouble(desk.store, "backup", "no space left on device", ENROLLED_AT)
    _sweep(desk, MINUTE)
    settle_trouble(desk.store, "backup")
    _sweep(desk, 3 * MINUTE)
    assert told.requests == []


def test_a_trouble_that_comes_and_goes_is_told_once_a_day(desk: Desk, told: Receiver) -> None:
    for hours in range(0, 24, 4):
        began = timedelta(hours=hours)
        note_trouble(desk.store, "backup", "no space left on device", ENROLLED_AT + began)
        _sweep(desk, began + 3 * MINUTE)
        settle_trouble(desk.store, "backup")
    assert len(told.at("ops")) == 1


def test_a_trouble_that_ended_before_its_notice_left_is_withdrawn_and_told_when_it_comes_back(
    desk: Desk, told: Receiver
) -> None:
    note_trouble(desk.store, "ITP-001", WHAT, ENROLLED_AT)
    alarms.tell(desk.store, ENROLLED_AT + 3 * MINUTE)
    settle_trouble(desk.store, "ITP-001")
    _sweep(desk, 4 * MINUTE)
    assert (_statuses(desk), told.requests) == (["withdrawn"], [])

    note_trouble(desk.store, "ITP-001", WHAT, ENROLLED_AT + 5 * MINUTE)
    _sweep(desk, 8 * MINUTE)
    assert len(told.at("ops")) == 1


def test_a_part_whose_name_begins_as_another_s_has_a_notice_of_its_own(desk: Desk, told: Receiver) -> None:
    for about in ("ITP-001", "ITP-0011", "ITP_001"):
        note_trouble(desk.store, about, WHAT, ENROLLED_AT)
    _sweep(desk, 3 * MINUTE)
    assert len(told.at("ops")) == 3


def test_a_notice_that_gets_through_while_its_trouble_ends_stays_delivered(postgresql_url: str) -> None:
    desk = Desk.open(postgresql_url)
    note_trouble(desk.store, "backup", "no space left on device", ENROLLED_AT)
    alarms.tell(desk.store, ENROLLED_AT + 3 * MINUTE)
    settle_trouble(desk.store, "backup")
    other = Desk.open(postgresql_url)

    def gets_through(*told: object) -> None:
        if str(told[2]).startswith("UPDATE notices"):
            with other.store.writing() as connection:
                connection.execute(notices.update().values(status="delivered"))

    sa.event.listen(desk.store.engine, "before_cursor_execute", gets_through)
    alarms.tell(desk.store, ENROLLED_AT + 4 * MINUTE)
    assert _statuses(other) == ["delivered"]
    desk.store.close()
    other.store.close()
