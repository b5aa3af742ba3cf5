"""A REDCap project, and a served study whose door it triggers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployments.api.redcap.coordinator import settings_for, settled
from tests.support.api import Door, served
from tests.support.redcap import RedcapStandIn


@pytest.fixture
def redcap() -> Iterator[RedcapStandIn]:
    with RedcapStandIn() as redcap:
        yield redcap


@pytest.fixture
def door(tmp_path: Path, redcap: RedcapStandIn) -> Iterator[Door]:
    with served(tmp_path, **settings_for(redcap)) as door:
        yield settled(door)
