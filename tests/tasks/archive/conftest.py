"""The archive of a study with something in every corner."""

from pathlib import Path

import pytest

from tests.tasks.archive.kept import kept
from tests.tasks.desk import Desk


@pytest.fixture
def archive(lived: Desk, tmp_path: Path) -> Path:
    """The archive of that study."""
    path = tmp_path / "kept.zip"
    kept(lived.store, path)
    return path
