"""Something that is made once for all processes of one test run."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The folder of a name that `make` has filled; whichever of `make test`'s processes comes first calls it.

    Nobody may change what is in it.
    """
    own = factory.getbasetemp()
    # Beside the folders of pytest-xdist's processes is room for what they share.
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    folder = shared / name
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            half = shared / f"{name}.half"
            half.mkdir()
            make(half)
            half.rename(folder)
    return folder
