from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.api import Door, apprise_config, served
from tests.support.receiver import Receiver


@pytest.fixture
def door(tmp_path: Path, receiver: Receiver) -> Iterator[Door]:
    """The API of an empty study on SQLite, whose notices go to the receiver."""
    config = apprise_config(tmp_path / "apprise.conf", receiver.apprise_url())
    with served(tmp_path / "data", apprise_config=config) as door:
        yield door
