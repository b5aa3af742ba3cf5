"""Fixtures for the effects."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import Receiver
from tests.support.study import Study
from tests.tasks.desk import Desk


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
