from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deployments.bootstrap.clock import Clock, FastClock, open_clock
from itp_events.errors import BadInput

pytestmark = pytest.mark.requirement("RUN-05")

START = datetime(2026, 1, 5, 1, 0, tzinfo=UTC)
DATABASE = "sqlite:////data/study.db"


def fast_clock(data_dir: Path, speed: float = 3600.0) -> FastClock:
    clock = open_clock(data_dir, DATABASE, speed, START, study_is_empty=True)
    assert isinstance(clock, FastClock)
    return clock


def test_the_real_clock_shows_the_world_s_time(tmp_path: Path) -> None:
    clock = open_clock(tmp_path, DATABASE, None, None, study_is_empty=False)
    assert type(clock) is Clock
    assert clock.wall(START) == START
    assert clock.now() < clock.ahead(2) <= clock.now() + timedelta(seconds=2)


@pytest.mark.requirement("SIM-02")
def test_a_fast_clock_starts_at_its_origin_and_runs_at_its_speed(tmp_path: Path) -> None:
    clock = fast_clock(tmp_path, 3600)
    assert START <= clock.now() < START + timedelta(hours=5)
    assert clock.wall(START + timedelta(hours=10)) - clock.wall(START) == timedelta(seconds=10)


def test_the_world_s_instant_of_the_present_is_now(tmp_path: Path) -> None:
    clock = fast_clock(tmp_path)
    assert abs(clock.seconds_until(clock.now())) < 0.2


def test_every_program_that_opens_a_demonstration_sees_the_same_time(tmp_path: Path) -> None:
    first = fast_clock(tmp_path)
    second = open_clock(tmp_path, DATABASE, 3600.0, None, study_is_empty=False)
    assert second.wall(START) == first.wall(START)


def test_a_demonstration_s_clock_moved_forward_is_seen_by_who_has_it_open(tmp_path: Path) -> None:
    mover, other = fast_clock(tmp_path), open_clock(tmp_path, DATABASE, 3600.0, None, study_is_empty=False)
    later = START + timedelta(days=40)
    mover.move_to(later)
    assert other.now() >= later


def test_a_clock_never_moves_back(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="only moves forward"):
        fast_clock(tmp_path).move_to(START - timedelta(days=1))


@pytest.mark.requirement("SIM-02")
def test_a_fast_clock_is_refused_for_a_study_s_real_data(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds real events"):
        open_clock(tmp_path, DATABASE, 60.0, START, study_is_empty=False)
    assert list(tmp_path.iterdir()) == []


def test_the_real_clock_is_refused_for_a_demonstration(tmp_path: Path) -> None:
    fast_clock(tmp_path, 60)
    with pytest.raises(BadInput, match="set ITP_CLOCK_SPEED=60"):
        open_clock(tmp_path, DATABASE, None, None, study_is_empty=False)


def test_a_demonstration_s_clock_is_refused_for_another_database(tmp_path: Path) -> None:
    fast_clock(tmp_path, 60)
    with pytest.raises(BadInput, match="belongs to"):
        open_clock(tmp_path, "postgresql://real/study", 60.0, None, study_is_empty=True)


def test_a_demonstration_keeps_its_speed(tmp_path: Path) -> None:
    fast_clock(tmp_path, 60)
    with pytest.raises(BadInput, match="ITP_CLOCK_SPEED=60"):
        open_clock(tmp_path, DATABASE, 61.0, None, study_is_empty=False)


@pytest.mark.parametrize("speed", [0.0, -1.0])
def test_time_cannot_stand_still_or_run_backwards(tmp_path: Path, speed: float) -> None:
    with pytest.raises(BadInput, match="more than 0"):
        open_clock(tmp_path, DATABASE, speed, START, study_is_empty=True)
