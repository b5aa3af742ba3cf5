"""Programs that are no Python package: where tests find them, and what a test without one does."""

import os
import shutil
from pathlib import Path

import pytest

# Where `.ci/programs` puts what the machine does not have.
FOLDER = Path(__file__).parents[2] / ".cache/programs/usr/bin"


def program(name: str) -> str:
    """The path of a program; without it the test is skipped, and fails in CI, where `.ci/run` brings it."""
    found = shutil.which(name) or shutil.which(name, path=str(FOLDER))
    if found:
        return found
    said = f"{name} is not on this machine: run .ci/programs, which brings it on Debian and Ubuntu"
    if os.environ.get("CI"):
        pytest.fail(said)
    pytest.skip(said)
