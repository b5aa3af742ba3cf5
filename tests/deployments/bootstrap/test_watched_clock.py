"""A clock that jumps is not followed, and said; one that is corrected by some minutes is."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from deployments.bootstrap import watched_clock
from deployments.bootstrap.watched_clock import CLOCK, ClockWatch, WatchedClock, accept, look_and_say
from flows.study.runtime import Runtime
from itp_events.protocol.file import load_protocol
from tasks.advance import advance, record
from tasks.database.queries import all_subjects, notices_of
from tasks.database.schema import deliveries
from tasks.database.store import Store
from tasks.database.troubles import OwnTrouble, open_troubles
from tasks.delivery.channels import Channels
from tests.support.study import Study

pytestmark = pytest.mark.requirement("RUN-05")

TUESDAY = datetime(2026, 1, 6, 2, 0, tzinfo=UTC)
WEEK = timedelta(days=7)


class Machine:
    """A machine whose clock can be set, and whose count of seconds cannot."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed = timedelta()
        self.set_by = timedelta()
        monkeypatch.setattr(WatchedClock, "shown", lambda _: self.shown)
        monkeypatch.setattr(watched_clock, "uptime", lambda: 1000 + self.passed.total_seconds())

    @property
    def true(self) -> datetime:
        return TUESDAY + self.passed

    @property
    def shown(self) -> datetime:
        return self.true + self.set_by


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


@pytest.fixture
def clock(machine: Machine) -> WatchedClock:
    clock = WatchedClock()
    assert clock.now() == machine.true
    return clock


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    store = Store.open(database_url)
    yield store
    store.close()


@pytest.fixture
def study(store: Store, clock: WatchedClock) -> Runtime:
    return Runtime(store, load_protocol(), Channels(), clock, "http://127.0.0.1:9/api")


@pytest.mark.parametrize("jump", [WEEK, -WEEK, timedelta(hours=1), timedelta(minutes=-6)])
def test_a_jump_of_the_clock_is_not_followed(machine: Machine, clock: WatchedClock, jump: timedelta) -> None:
    machine.set_by = jump
    machine.passed += timedelta(hours=3)
    assert clock.now() == machine.true
    assert clock.seconds_until(machine.true + timedelta(seconds=9)) == 9
    machine.set_by = timedelta()
    assert clock.now() == machine.true


@pytest.mark.parametrize("minutes", [4, -4])
def test_what_a_time_server_corrects_is_followed(
    machine: Machine, clock: WatchedClock, minutes: float
) -> None:
    for _ in range(3):
        machine.set_by += timedelta(minutes=minutes)
        assert clock.now() == machine.shown


def test_a_jump_is_said_until_the_clock_is_right_again(study: Runtime, machine: Machine) -> None:
    own = OwnTrouble(study.store, CLOCK, "here")
    look_and_say(study, own)
    assert open_troubles(study.store) == []
    machine.set_by = WEEK
    look_and_say(study, own)
    [trouble] = open_troubles(study.store)
    assert trouble.about == CLOCK
    assert "shows 2026-01-13 02:00Z" in trouble.what
    assert "goes on by 2026-01-06 02:00Z" in trouble.what
    assert study.clock.now() == machine.true
    machine.set_by = timedelta()
    look_and_say(study, own)
    assert open_troubles(study.store) == []


def test_a_program_started_after_the_jump_goes_by_the_same_time(study: Runtime, machine: Machine) -> None:
    look_and_say(study, OwnTrouble(study.store, CLOCK, "here"))
    machine.passed += timedelta(hours=2)
    machine.set_by = WEEK
    started = WatchedClock()
    assert ClockWatch(study.store, started).look()
    assert abs(started.now() - machine.true) < timedelta(seconds=1)


def test_a_person_s_word_makes_the_machine_s_clock_right(study: Runtime, machine: Machine) -> None:
    look_and_say(study, OwnTrouble(study.store, CLOCK, "here"))
    machine.set_by = WEEK
    other = WatchedClock()
    assert ClockWatch(study.store, other).look()
    accept(study.store, study.protocol, other)
    assert ClockWatch(study.store, other).look() is None
    assert ClockWatch(study.store, study.clock).look() is None
    assert study.clock.now() == machine.shown


def test_another_machine_s_clock_is_followed_when_it_agrees(
    study: Runtime, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ClockWatch, "has_server", True)
    monkeypatch.setattr(watched_clock, "server_clock", lambda _: machine.shown)
    machine.set_by = WEEK  # the machine stood still for a week, as one that was paused
    assert ClockWatch(study.store, study.clock).look() is None
    assert study.clock.now() == machine.shown


@pytest.mark.parametrize("ahead", ["the machine", "the server"])
def test_between_two_clocks_at_the_start_the_earlier_counts(
    study: Runtime, machine: Machine, monkeypatch: pytest.MonkeyPatch, ahead: str
) -> None:
    server = machine.true if ahead == "the machine" else machine.true + WEEK
    monkeypatch.setattr(ClockWatch, "has_server", True)
    monkeypatch.setattr(watched_clock, "server_clock", lambda _: server)
    machine.set_by = WEEK if ahead == "the machine" else timedelta()
    started = WatchedClock()
    assert "the database server" in str(ClockWatch(study.store, started).look())
    assert started.now() == machine.true


def test_a_server_s_clock_that_jumps_is_not_followed(
    study: Runtime, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ClockWatch, "has_server", True)
    monkeypatch.setattr(watched_clock, "server_clock", lambda _: machine.true + WEEK)
    assert ClockWatch(study.store, study.clock).look()
    assert study.clock.now() == machine.true


def test_who_was_decided_about_by_a_clock_ahead_is_decided_about_anew(
    study: Runtime, machine: Machine
) -> None:
    one = Study()
    record(study.store, study.protocol, [one.enrol("2026-01-05")], machine.true)
    advance(study.store, study.protocol, "ITP-001", machine.true + 2 * WEEK)
    [row] = all_subjects(study.store)
    assert row.state == "INF1 overdue"
    assert "clock that was ahead" in str(ClockWatch(study.store, study.clock).look())

    assert accept(study.store, study.protocol, study.clock) == ["ITP-001"]
    [row] = all_subjects(study.store)
    assert (row.state, row.advanced_at) == ("INF1 window open", machine.true)
    assert row.wake_at is not None
    assert machine.true < row.wake_at < machine.true + WEEK
    assert ClockWatch(study.store, study.clock).look() is None
    rungs = [notice.status for notice in notices_of(study.store, "ITP-001") if notice.kind == "escalation"]
    assert set(rungs) == {"withdrawn"}


def test_a_door_claims_no_deadline_that_passed_by_the_wrong_clock_alone(
    study: Runtime, machine: Machine
) -> None:
    one = Study()
    record(study.store, study.protocol, [one.enrol("2026-01-05")], machine.true)
    advance(study.store, study.protocol, "ITP-001", machine.true + WEEK)
    serious = one.adverse_event("2026-01-06", at=machine.true, serious=True)
    record(study.store, study.protocol, [serious], machine.true)
    steps = {notice.step for notice in notices_of(study.store, "ITP-001") if notice.kind == "alert"}
    assert "sae" in steps
    assert not steps & {"sae-20h", "sae-24h"}


def test_what_was_put_back_by_a_clock_ahead_is_sent_again_at_once(study: Runtime, machine: Machine) -> None:
    one = Study()
    record(study.store, study.protocol, [one.enrol("2026-01-05")], machine.true)
    study.hand_over("ITP-001")
    with study.store.writing() as connection:
        connection.execute(deliveries.update().values(status="pending", next_at=machine.true + WEEK))
    accept(study.store, study.protocol, study.clock)
    with study.store.reading() as connection:
        assert set(connection.scalars(sa.select(deliveries.c.next_at))) == {machine.true}
