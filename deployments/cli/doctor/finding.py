"""The finding of a check of `itp doctor`, and the surroundings that a check looks at."""

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
    """The finding of one check; `mend` is the advice to the user."""

    name: str
    level: Level
    said: str
    mend: str = ""


@dataclass(frozen=True)
class Surroundings:
    """The surroundings of the checks: the settings, the present instant, and the service's process id."""

    settings: Settings
    now: datetime
    service: str | None


def look_around(settings: Settings, now: datetime) -> Surroundings:
    """The surroundings, with the process id of the running service; None without one."""
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
