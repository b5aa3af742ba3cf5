"""Fixtures for the effects."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.database.repairs import note_repair
from tests.support import Receiver
from tests.support.study import Study
from tests.tasks.desk import Desk

NOW = datetime(2026, 2, 1, 3, tzinfo=UTC)


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    """A study of its own with nobody enrolled, on SQLite and on PostgreSQL; it prints its notices."""
    desk = Desk.open(database_url)
    yield desk
    desk.store.close()


@pytest.fixture
def study() -> Study:
    """What happens to ITP-001; its events are given to the desk."""
    return Study()


@pytest.fixture
def told(desk: Desk, receiver: Receiver, tmp_path: Path) -> Receiver:
    """A receiver that is told everything by the desk: one address per audience."""
    audiences = ("coordinator", "investigator", "sponsor", "cell-lab", "ops")
    desk.configure(tmp_path / "apprise.txt", *(f"{name}={receiver.apprise_url(name)}" for name in audiences))
    return receiver


@pytest.fixture
def lived(desk: Desk, told: Receiver) -> Desk:
    """Two subjects with visits, a refused enrolment, messages sent and refused, and one in flight."""
    for number in (1, 2):
        study = Study(code=f"ITP-00{number}")
        study.last_id = 100 * number
        desk.take(study.enrol("2026-01-05", first_infusion_on="2026-01-06"))
        desk.take(study.done("INF1", "2026-01-06", platelets=41, weight_kg=61.123456789))
        desk.take(study.event("itp.visit.unscheduled", "2026-01-07", reason="e\u0301 鼻出血\r\n  "))
    refused = Study(code="ITP-003")
    refused.last_id = 300
    desk.take(refused.enrolment("2026-01-06", screening={"age_years": 3}, at="2026-01-06"))
    desk.hand_over(datetime(2026, 1, 20, tzinfo=UTC), None)
    told.fail()
    desk.wake("ITP-001", NOW)
    desk.hand_over(NOW, "ITP-001")
    told.succeed()
    desk.wake("ITP-002", NOW)
    assert desk.claim(NOW, "ITP-002")
    note_repair(desk.store, "put back", NOW, "ITP-001")
    return desk
