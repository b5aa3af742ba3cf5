"""Services of their own for the tests in this folder."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.receiver import Receiver
from tests.support.service import Service

MakeService = Callable[..., Service]
MONDAY = datetime(2026, 1, 5, 2, 0, tzinfo=UTC)


@contextmanager
def _services(data_dir: Path) -> Iterator[MakeService]:
    made: list[Service] = []
    with Receiver() as receiver:

        def make(**environment: object) -> Service:
            made.append(Service(data_dir, receiver, environment))
            return made[-1]

        try:
            yield make
        finally:
            for service in made:
                service.close()


@pytest.fixture
def first_service(tmp_path: Path) -> Iterator[MakeService]:
    """Makes services on the test's own empty data directory."""
    with _services(tmp_path / "data") as make:
        yield make


@pytest.fixture
def make_service(first_service: MakeService, prefect_home: Path, tmp_path: Path) -> MakeService:
    """Makes services whose Prefect has its database already."""
    shutil.copytree(prefect_home, tmp_path / "data" / "prefect")
    return first_service


@pytest.fixture
def service(make_service: MakeService) -> Service:
    """A demonstration that runs, for the test to harm; its clock shows Monday, 10:00 at the site."""
    return _started(make_service)


@contextmanager
def running_service(data_dir: Path, prefect_home: Path) -> Iterator[Service]:
    """A demonstration that runs in an empty data directory."""
    shutil.copytree(prefect_home, data_dir / "prefect")
    with _services(data_dir) as make:
        yield _started(make)


def _started(make: MakeService) -> Service:
    service = make(ITP_CLOCK_SPEED=1, ITP_CLOCK_START=MONDAY.isoformat(), ITP_REPAIR_SECONDS=5)
    service.start()
    return service
