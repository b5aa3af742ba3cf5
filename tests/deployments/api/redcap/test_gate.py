"""No more requests than the rate leave in any minute, and a REDCap that refuses is left alone."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from deployments.api.redcap.gate import REQUEST_SECONDS, StudyGate
from deployments.api.redcap.trouble import RedcapRefuses, RedcapWaits
from tasks.database.store import Store

pytestmark = pytest.mark.requirement("API-03")

BEGIN = datetime(2026, 1, 5, 2, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Wall:
    """A clock on the wall that somebody sets."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def store(sqlite_url: str) -> Iterator[Store]:
    store = Store.open(sqlite_url)
    yield store
    store.close()


@pytest.fixture
def wall() -> Wall:
    return Wall()


def gate_of(store: Store, wall: Wall, most: int = 10, token: str = "t") -> StudyGate:
    return StudyGate(store, wall, "https://redcap.example/api/", token, most)


def refusal(*, of_address: bool = False, seconds: float = 0) -> RedcapRefuses:
    return RedcapRefuses("REDCap answers 403: no", of_address=of_address, seconds=seconds)


def is_let_in(gate: StudyGate, about: str = "record") -> bool:
    try:
        gate.answered(gate.enter(about, background=False))
    except RedcapWaits:
        return False
    return True


def refuse(gate: StudyGate, error: RedcapRefuses, about: str = "record") -> None:
    gate.refused(gate.enter(about, background=False), error)


@pytest.mark.parametrize("seed", range(5))
def test_whatever_processes_ask_no_more_than_the_rate_leave_in_any_minute(
    store: Store, wall: Wall, seed: int
) -> None:
    """A request may be on its way for some time, so that early ones leave together with late ones."""
    chance, left = Random(seed), list[datetime]()
    processes = [gate_of(store, wall, most=7) for _ in range(3)]
    while wall.now < BEGIN + 20 * MINUTE:
        wall.now += timedelta(seconds=chance.choice((0, 0.1, 1, 5)))
        try:
            chance.choice(processes).enter("record", background=chance.random() < 0.5)
        except RedcapWaits:
            continue
        else:
            left.append(wall.now + timedelta(seconds=chance.uniform(0, REQUEST_SECONDS)))
    left.sort()
    most = max(
        sum(at < each <= at + MINUTE for each in left) for at in (t - timedelta(microseconds=1) for t in left)
    )
    assert most <= 7
    assert len(left) > 60


def test_the_background_leaves_half_of_the_rate_to_the_door(store: Store, wall: Wall) -> None:
    gate = gate_of(store, wall, most=10)
    for _ in range(5):
        gate.enter("record", background=True)
    with pytest.raises(RedcapWaits):
        gate.enter("record", background=True)
    for _ in range(5):
        gate.enter("record", background=False)
    with pytest.raises(RedcapWaits, match="REDCap was asked 10 times within a minute"):
        gate.enter("record", background=False)


def test_a_place_that_is_promised_is_free_then(store: Store, wall: Wall) -> None:
    gate = gate_of(store, wall, most=3)
    for _ in range(3):
        assert is_let_in(gate)
        wall.now += timedelta(seconds=1)
    with pytest.raises(RedcapWaits) as waits:
        gate.enter("record", background=False)
    wall.now = waits.value.until - timedelta(milliseconds=1)
    assert not is_let_in(gate)
    wall.now = waits.value.until
    assert is_let_in(gate)


def test_a_clock_that_is_set_back_blocks_nobody_for_long_and_breaks_no_rate(store: Store, wall: Wall) -> None:
    gate = gate_of(store, wall, most=3)
    for _ in range(3):
        assert is_let_in(gate)
    wall.now = BEGIN - timedelta(days=1)
    assert not is_let_in(gate)
    with pytest.raises(RedcapWaits) as waits:
        gate.enter("record", background=False)
    assert waits.value.until <= wall.now + timedelta(seconds=60 + REQUEST_SECONDS)


def test_each_refusal_doubles_the_rest_up_to_half_an_hour(store: Store, wall: Wall) -> None:
    gate, rests = gate_of(store, wall), list[float]()
    for _ in range(8):
        refuse(gate, refusal())
        with pytest.raises(RedcapWaits, match="REDCap answers 403: no") as waits:
            gate.enter("record", background=False)
        rests.append((waits.value.until - wall.now) / MINUTE)
        wall.now = waits.value.until
    assert rests == [1, 2, 4, 8, 16, 30, 30, 30]


def test_after_a_rest_one_request_tries_and_its_answer_ends_the_rest(store: Store, wall: Wall) -> None:
    one, other = gate_of(store, wall), gate_of(store, wall)
    refuse(one, refusal())
    wall.now += MINUTE
    tries = one.enter("record", background=False)
    assert not is_let_in(other)
    one.answered(tries)
    assert is_let_in(other)
    assert one.why_resting() == ""


def test_a_request_that_dies_while_it_tries_blocks_the_others_for_moments_only(
    store: Store, wall: Wall
) -> None:
    one, other = gate_of(store, wall), gate_of(store, wall)
    refuse(one, refusal())
    wall.now += MINUTE
    one.enter("record", background=False)
    wall.now += timedelta(seconds=REQUEST_SECONDS + 10)
    assert is_let_in(other)


def test_without_an_answer_after_a_rest_the_rest_begins_again(store: Store, wall: Wall) -> None:
    gate = gate_of(store, wall)
    refuse(gate, refusal())
    wall.now += MINUTE
    gate.unanswered(gate.enter("record", background=False))
    wall.now += MINUTE - timedelta(seconds=1)
    assert not is_let_in(gate)
    wall.now += timedelta(seconds=1)
    assert is_let_in(gate)


def test_requests_that_are_refused_together_count_as_one_refusal(store: Store, wall: Wall) -> None:
    gate = gate_of(store, wall)
    places = [gate.enter("record", background=False) for _ in range(5)]
    for place in places:
        gate.refused(place, refusal())
    wall.now += MINUTE
    assert is_let_in(gate)


def test_a_server_may_ask_for_a_longer_rest(store: Store, wall: Wall) -> None:
    gate = gate_of(store, wall)
    refuse(gate, refusal(of_address=True, seconds=600))
    wall.now += 10 * MINUTE - timedelta(seconds=1)
    assert not is_let_in(gate)
    wall.now += timedelta(seconds=1)
    assert is_let_in(gate)


def test_another_token_is_not_refused_with_the_first_but_shares_a_ban(store: Store, wall: Wall) -> None:
    gate, renewed = gate_of(store, wall), gate_of(store, wall, token="new")
    refuse(gate, refusal())
    assert not is_let_in(gate)
    assert is_let_in(renewed)
    refuse(renewed, refusal(of_address=True))
    wall.now += MINUTE / 2
    assert not is_let_in(renewed)
    assert not is_let_in(gate)


def test_a_user_who_may_not_read_the_log_may_fetch_forms(store: Store, wall: Wall) -> None:
    gate = gate_of(store, wall)
    refuse(gate, refusal(), "log")
    assert is_let_in(gate)
    assert not is_let_in(gate, "log")
    assert gate.why_resting() == "REDCap answers 403: no"


def test_a_person_who_asks_ends_the_rest_and_keeps_the_count(store: Store, wall: Wall) -> None:
    gate = gate_of(store, wall)
    refuse(gate, refusal())
    gate.lift()
    refuse(gate, refusal())
    wall.now += MINUTE
    assert not is_let_in(gate)
    wall.now += MINUTE
    assert is_let_in(gate)
