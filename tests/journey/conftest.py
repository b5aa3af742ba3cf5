"""The whole service for the journeys."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployments.conftest import running_service
from tests.support.ending import end_with_its_tests
from tests.support.once import sole
from tests.support.service import Service


@pytest.fixture(scope="session")
def travelling(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory, prefect_home: Path
) -> Iterator[Service]:
    """A demonstration whose tests move its clock on by weeks and months, each with a subject of its own."""
    sole(pytestconfig, tmp_path_factory, "travelling")
    with running_service(tmp_path_factory.mktemp("travelling") / "data", prefect_home) as service:
        end_with_its_tests(pytestconfig, "travelling", service.close)
        yield service
