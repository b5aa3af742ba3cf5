"""The directory in which the service keeps its data, made when it is first used."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from itp_events.errors import ItpError


def keep_private() -> None:
    """Let only their owner read the files of this process and its children, with any umask of the user."""
    os.umask(stat.S_IRWXG | stat.S_IRWXO)


def open_to_others(path: Path) -> str | None:
    """A warning when others on this machine may read a directory or write to it; None otherwise."""
    mode = stat.S_IMODE(path.stat().st_mode) if path.is_dir() else 0
    may = "write to" if mode & (stat.S_IWOTH | stat.S_IWGRP) else "read" if mode & stat.S_IRWXO else None
    if may is None:
        return None
    return f"others on this machine may {may} the data directory {path} (mode {mode:04o}): chmod 700 {path}"


def writable(path: Path) -> Path:
    """The directory, made if need be, for its owner alone: it holds data about subjects.

    Raises:
        ItpError: it cannot be made, or not be written to.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise ItpError(_refusal(path, problem.strerror or str(problem))) from problem
    if not os.access(path, os.W_OK | os.X_OK):
        raise ItpError(_refusal(path, "it may not be written to"))
    return path


def _refusal(path: Path, why: str) -> str:
    return f"the data directory {path} cannot be used ({why}): set ITP_DATA_DIR to one that you may write to"
