"""A process that was held up since it read the clock undoes nothing that others decided meanwhile."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from itp_events.protocol.file import load_protocol
from tasks.advance import advance, record
from tasks.database.queries import all_subjects, notices_of
from tasks.database.store import Store
from tasks.delivery.channels import Channels
from tasks.delivery.claiming import DeliveryContext, claim
from tasks.delivery.claims import Clocks
from tests.support.study import Study
from tests.tasks.desk import ENROLLED_AT, Desk

pytestmark = pytest.mark.requirement("LOG-03", "LOG-07")

PROTOCOL = load_protocol()
LATER = ENROLLED_AT + timedelta(days=14)


def _wakes(store: Store) -> None:
    advance(store, PROTOCOL, "ITP-001", ENROLLED_AT, lambda: LATER)


def _is_told(store: Store) -> None:
    one = Study()
    one.enrol("2026-01-05")
    event = one.adverse_event("2026-01-05", at=ENROLLED_AT, grade=1)
    [answer] = record(store, PROTOCOL, [event], ENROLLED_AT, read_again=lambda: LATER)
    assert answer.status == "recorded", answer.error


def _hands_over(store: Store) -> None:
    context = DeliveryContext(store, PROTOCOL, Channels(), read_again=lambda: LATER)
    claim(context, "ITP-001", Clocks(ENROLLED_AT, ENROLLED_AT))


@pytest.mark.parametrize("held_up", [_wakes, _is_told, _hands_over])
def test_who_was_held_up_decides_by_the_present_clock(desk: Desk, held_up: Callable[[Store], None]) -> None:
    store = desk.store
    record(store, PROTOCOL, [Study().enrol("2026-01-05")], ENROLLED_AT)
    advance(store, PROTOCOL, "ITP-001", LATER)
    before = _known(store)
    assert before[0] == "INF1 overdue"

    held_up(store)

    assert _known(store) == before


def _known(store: Store) -> tuple[str, datetime | None, dict[str, str]]:
    """A subject's state, its next wake, and what became of each reminder and rung."""
    [row] = all_subjects(store)
    kept = {each.key: each.status for each in notices_of(store, "ITP-001") if each.kind != "alert"}
    return row.state, row.wake_at, kept
