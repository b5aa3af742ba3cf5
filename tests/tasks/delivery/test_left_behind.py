"""What a process held that is gone is free some seconds later, and what a living one holds never is."""

from dataclasses import dataclass, field
from datetime import datetime

import pytest
from sqlalchemy.exc import OperationalError

from tasks.delivery import deliveries, left_behind
from tasks.delivery.claims import Claim, Clocks
from tasks.delivery.deliver import hand_over_one
from tasks.delivery.left_behind import LeftBehind
from tasks.delivery.sending import Outcome
from tests.support import Receiver
from tests.support.study import Study
from tests.tasks.desk import ENROLLED_AT, Desk, ReportedLate, later, outcomes

pytestmark = pytest.mark.requirement("DLV-02")

AFTER_THE_LEASE = later(ENROLLED_AT, seconds=61)


@pytest.fixture
def study() -> Study:
    """What happens to ITP-001, of whom one notice is due at the enrolment."""
    return ReportedLate()


@dataclass
class Watcher:
    """A service that looks at what others hold, by a clock that the test moves."""

    desk: Desk
    seconds: float = 0.0
    left: LeftBehind = field(init=False)

    def __post_init__(self) -> None:
        self.left = LeftBehind(self.desk.instance)

    def look(self, *seconds: float, wall: datetime = ENROLLED_AT) -> int:
        """Look so many seconds later, each time; how many sends were freed."""
        freed = 0
        for passed in seconds:
            self.seconds += passed
            freed += self.left.free(self.desk.store, Clocks(ENROLLED_AT, wall, self.seconds))
        return freed

    def hand_over(self, now: datetime) -> None:
        """Hand over as the watching service does."""
        hand_over_one(self.desk.context, "ITP-001", Clocks(now, now))


@pytest.fixture
def taken(desk: Desk, told: Receiver, study: Study) -> Claim:
    """A notice about ITP-001 that the desk has claimed."""
    desk.take(study.enrol())
    [found] = desk.claim(ENROLLED_AT)
    return found


@pytest.fixture
def watcher(desk: Desk, taken: Claim) -> Watcher:
    """Another process on the desk's study, which has looked once."""
    watcher = Watcher(Desk(desk.store, channels=desk.channels))
    watcher.look(1)
    return watcher


def test_what_a_silent_process_held_is_free_within_five_seconds_and_marked(
    watcher: Watcher, desk: Desk, told: Receiver
) -> None:
    assert watcher.look(1, 1, 1) == 0
    assert watcher.look(1) == 1
    watcher.hand_over(ENROLLED_AT)
    assert outcomes(desk.attempts()) == ["unknown", "sent"]
    assert [request.body["title"][:20] for request in told.requests] == ["[possibly repeated] "]


def test_what_the_process_held_whose_place_this_one_took_is_free_at_once(
    desk: Desk, taken: Claim, told: Receiver
) -> None:
    successor = Watcher(Desk(desk.store, channels=desk.channels))
    successor.desk.instance.note_ended(desk.instance.id)
    assert successor.look(0) == 1
    successor.hand_over(ENROLLED_AT)
    assert outcomes(desk.attempts()) == ["unknown", "sent"]


def test_what_a_process_holds_that_gives_signs_of_life_is_left_to_it(
    watcher: Watcher, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.database.instance.SIGN_SECONDS", 0.0)
    for second in range(12):
        desk.instance.give_sign(desk.store, later(ENROLLED_AT, seconds=second))
        assert watcher.look(1) == 0


def test_a_clock_that_is_ahead_ends_nobodys_lease_and_a_send_that_never_ends_is_freed_all_the_same(
    watcher: Watcher, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.database.instance.SIGN_SECONDS", 0.0)
    freed = []
    for second in range(66):
        desk.instance.give_sign(desk.store, later(ENROLLED_AT, seconds=second))
        freed.append(watcher.look(1, wall=later(AFTER_THE_LEASE, minutes=3)))
    assert (sum(freed[:60]), sum(freed)) == (0, 1)


def test_an_outage_of_the_database_is_nobodys_silence(watcher: Watcher) -> None:
    assert watcher.look(1, 75, 1) == 0
    assert watcher.look(1) == 1


def test_an_outcome_that_is_known_after_an_outage_longer_than_a_lease_is_kept(
    watcher: Watcher, desk: Desk, taken: Claim, told: Receiver
) -> None:
    assert watcher.look(75, wall=AFTER_THE_LEASE) == 0
    watcher.hand_over(AFTER_THE_LEASE)
    desk.end(taken, Outcome("sent"))
    assert outcomes(desk.attempts()) == ["sent"]
    assert (watcher.look(1, 1, 1, 1, 1, 1), told.requests) == (0, [])


def test_what_a_process_has_in_hand_itself_it_never_frees(desk: Desk, taken: Claim) -> None:
    watcher = Watcher(desk)
    assert desk.instance.begin(taken.delivery, taken.attempt)
    assert watcher.look(*[1] * 60, wall=AFTER_THE_LEASE) == 0
    watcher.hand_over(AFTER_THE_LEASE)
    assert outcomes(desk.attempts()) == [None]


def test_a_claim_of_its_own_that_it_never_had_in_hand_is_freed(desk: Desk, taken: Claim) -> None:
    """The answer to its commit was lost: it is in the database, and nobody sends it."""
    watcher = Watcher(desk)
    desk.instance.let_go(taken.delivery, taken.attempt)
    assert watcher.look(1, 1, 1, 1) == 0
    assert watcher.look(1) == 1


def test_a_claim_that_was_never_begun_is_not_in_hand_for_ever(
    desk: Desk, taken: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = Watcher(desk)
    monkeypatch.setattr("tasks.database.instance.SIGN_WITHIN", 0.0)
    assert watcher.look(1, 1, 1, 1, 1, 1) == 1


def test_whoever_waits_for_the_database_takes_nobody_for_dead(
    watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On SQLite another writer's lock keeps everybody from giving signs, and nobody from looking."""
    monkeypatch.setattr(left_behind, "PROMPT_SECONDS", -1.0)
    assert watcher.look(1, 1, 1, 1, 1) == 0
    monkeypatch.undo()
    assert watcher.look(1, 1, 1) == 0
    assert watcher.look(1) == 1


def test_looking_costs_the_same_however_much_has_been_sent(sqlite_url: str) -> None:
    desk = Desk.open(sqlite_url)
    statement = str(deliveries.HELD.compile(desk.store.engine))
    with desk.store.reading() as connection:
        plan = [
            str(row[-1])
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", ("sending",))
        ]
    desk.store.close()
    assert plan
    assert not [step for step in plan if step.startswith("SCAN")]


def test_a_row_that_somebody_locks_keeps_no_look_from_its_end(
    watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, OSError("canceling statement due to lock timeout"))

    with monkeypatch.context() as patched:
        patched.setattr(deliveries, "lock_notice", locked)
        assert watcher.look(1, 1, 1, 1, 1) == 0
    assert watcher.look(1, 1, 1) == 0
    assert watcher.look(1) == 1
