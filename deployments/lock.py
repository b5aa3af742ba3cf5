"""One service on a data directory at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployments.data_dir import writable
from itp_events.errors import ItpError


class AlreadyRunning(ItpError):
    """Another service works on this data directory."""


@contextmanager
def sole_service(data_dir: Path) -> Iterator[None]:
    """Hold the data directory's lock; the operating system lets go of it whatever ends the process.

    Raises:
        AlreadyRunning: another process holds it.
        ItpError: the directory cannot be written to.
    """
    with (writable(data_dir) / "service.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(_held_by(lock.name, data_dir)) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _held_by(path: str, data_dir: Path) -> str:
    pid = Path(path).read_text(encoding="utf-8") or "unknown"
    return f"a service runs on {data_dir} already (process {pid}): stop it, or set another ITP_DATA_DIR"
