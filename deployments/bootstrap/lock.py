"""The locks of a service: one holds a data directory at a time, and one a study's SQLite file."""

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
    """Another service works on this data directory, or on this file."""


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
    remedy = "stop it, or set another ITP_DATA_DIR"
    with _held(writable(data_dir) / "service.lock", f"a service runs on {data_dir} already", remedy) as hold:
        yield hold


@contextmanager
def sole_on_file(file: Path | None) -> Iterator[None]:
    """Hold a study's SQLite file for one service, whatever its data directory and by whichever path it came.

    Without a file this does nothing: on PostgreSQL several services share a study.

    Raises:
        AlreadyRunning: another process holds it.
    """
    if file is None:
        yield
        return
    # As SQLite keeps its own files: beside the file itself, not beside a link to it.
    lock = Path(f"{os.path.realpath(file)}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    remedy = "stop it, or use PostgreSQL, which several services can share"
    with _held(lock, f"a service works on {file} already", remedy):
        yield


@contextmanager
def _held(path: Path, problem: str, remedy: str) -> Iterator[HeldLock]:
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(f"{problem} (process {holder(path)}): {remedy}") from None
        lock.seek(0)
        hold = HeldLock(lock.read().partition("\n")[2], lock)
        hold.sign(hold.before)
        yield hold


def holder(lock: Path) -> str:
    """The process id that a lock's file names; "unknown" when it names none."""
    return lock.read_text(encoding="utf-8").partition("\n")[0] or "unknown"
