"""The directory in which the service keeps its data, made when it is first used."""

from __future__ import annotations

import os
from pathlib import Path

from itp_events.errors import ItpError


def writable(path: Path) -> Path:
    """The directory, made if need be, for its owner alone: what it holds is about subjects.

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
