import os
from pathlib import Path

import pytest

from deployments.lock import AlreadyRunning, sole_service


def test_a_second_service_on_a_data_directory_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    with (
        sole_service(tmp_path),
        pytest.raises(AlreadyRunning, match=rf"process {os.getpid()}"),
        sole_service(tmp_path),
    ):
        pass


def test_a_data_directory_is_free_again_when_its_service_ended(tmp_path: Path) -> None:
    for _ in range(2):
        with sole_service(tmp_path):
            pass
