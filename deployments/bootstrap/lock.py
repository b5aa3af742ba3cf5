"""The lock of a data directory, which one service holds at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from deployments.bootstrap.data_dir import writable
from itp_events.errors import ItpError


class AlreadyRunning(ItpError):
    """Another service works on this data directory."""


@dataclass(frozen=True)
class HeldLock:
    """A held lock. `before` names the service that held it last and has ended; "" when there is none."""

    before: str
    _file: TextIO

    def sign(self, name: str) -> None:
        """Write this service's name into the lock for its next holder."""
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n{name}")
        self._file.flush()


@contextmanager
def sole_service(data_dir: Path) -> Iterator[HeldLock]:
    """Hold the data directory's lock; the operating system frees it when the process ends in any way.

    Raises:
        AlreadyRunning: another process holds it.
        ItpError: the directory cannot be written to.
    """
    with (writable(data_dir) / "service.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(_held_by(lock.name, data_dir)) from None
        lock.seek(0)
        hold = HeldLock(lock.read().partition("\n")[2], lock)
        hold.sign(hold.before)
        yield hold


def holder(lock: Path) -> str:
    """The process id that a lock's file names; "unknown" when it names none."""
    return lock.read_text(encoding="utf-8").partition("\n")[0] or "unknown"


def _held_by(path: str, data_dir: Path) -> str:
    process = holder(Path(path))
    return f"a service runs on {data_dir} already (process {process}): stop it, or set another ITP_DATA_DIR"
