"""Something that is made once for all processes of one test run."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def _shared(factory: pytest.TempPathFactory) -> Path:
    own = factory.getbasetemp()
    # Beside the folders of pytest-xdist's processes is room for what they share.
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def sole(config: pytest.Config, factory: pytest.TempPathFactory, name: str) -> None:
    """Fail when something of this name was begun before, in whichever of `make test`'s processes."""
    if not getattr(config.option, "loadgroup", False):
        # Nobody asked for groups: each process starts its own.
        return
    try:
        (_shared(factory) / f"{name}.sole").touch(exist_ok=False)
    except FileExistsError:
        pytest.fail(f"{name} is started a second time: its tests were not given to one process")


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The folder of a name that `make` has filled; whichever of `make test`'s processes comes first calls it.

    Nobody may change what is in it.
    """
    shared = _shared(factory)
    folder = shared / name
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            half = shared / f"{name}.half"
            half.mkdir()
            make(half)
            half.rename(folder)
    return folder
