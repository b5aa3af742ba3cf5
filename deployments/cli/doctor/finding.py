"""What a check of `itp doctor` found, and what it may look at."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from deployments.bootstrap.lock import holder
from deployments.bootstrap.settings import Settings

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """What one check found; `mend` says what to do about it."""

    name: str
    level: Level
    said: str
    mend: str = ""


@dataclass(frozen=True)
class Surroundings:
    """What the checks look at: the settings, the present instant, and whether a service runs."""

    settings: Settings
    now: datetime
    service: str | None


def look_around(settings: Settings, now: datetime) -> Surroundings:
    """The surroundings, with the process of the service that holds the data directory, if one does."""
    return Surroundings(settings, now, _service(settings.data_dir))


def _service(data_dir: Path) -> str | None:
    file = data_dir / "service.lock"
    if not os.access(file, os.R_OK):
        return None
    try:
        with file.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return holder(file)
    return None
