"""The clock of a study; no other module reads the time.

A study runs by the real clock. A demonstration runs by a fast clock, which belongs to its data directory: the
file `demonstration.json` there gives its start and its speed, so that every program that opens the directory
sees the same time.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from itp_events.errors import BadInput

MARK = "demonstration.json"


class Clock:
    """The real clock: the study's time is the world's time."""

    def now(self) -> datetime:
        """The study's present instant, UTC."""
        return datetime.now(UTC)

    def wall(self, instant: datetime) -> datetime:
        """The world's instant (UTC) at which the study's clock shows `instant`, for Prefect's timers."""
        return instant

    def shows_at(self, world: datetime) -> datetime:
        """The study's instant (UTC) at the world's instant."""
        return world

    def ahead(self, seconds: float) -> datetime:
        """The study's instant (UTC) after so many real seconds."""
        return self.now() + timedelta(seconds=seconds)

    def seconds_until(self, instant: datetime) -> float:
        """Real seconds until the study's `instant`; negative when it has passed."""
        return (self.wall(instant) - datetime.now(UTC)).total_seconds()


@dataclass(frozen=True)
class Pace:
    """At the world's instant `began` a demonstration's clock showed `start`; since then its `speed` holds."""

    start: datetime
    began: datetime
    speed: float

    def at(self, world: datetime) -> datetime:
        """The demonstration's instant (UTC) at the world's instant."""
        return self.start + (world - self.began) * self.speed


class FastClock(Clock):
    """A demonstration's clock; it reads its pace from the data directory, which may move it forward."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark
        self._read: tuple[int, Pace] | None = None

    @property
    def pace(self) -> Pace:
        """The clock's present start and speed; read again when the mark has been rewritten."""
        stamp = os.stat(self._mark).st_mtime_ns
        if self._read is None or self._read[0] != stamp:
            self._read = (stamp, _read_pace(self._mark))
        return self._read[1]

    def now(self) -> datetime:
        """The demonstration's present instant, UTC."""
        return self.pace.at(datetime.now(UTC))

    def wall(self, instant: datetime) -> datetime:
        """The world's instant (UTC) at which the demonstration's clock shows `instant`."""
        pace = self.pace
        return pace.began + (instant - pace.start) / pace.speed

    def shows_at(self, world: datetime) -> datetime:
        """The demonstration's instant (UTC) at the world's instant."""
        return self.pace.at(world)

    def ahead(self, seconds: float) -> datetime:
        """The demonstration's instant (UTC) after so many real seconds."""
        return self.now() + timedelta(seconds=seconds) * self.pace.speed

    def move_to(self, instant: datetime) -> None:
        """Go on from a later `instant` at the same speed.

        Raises:
            BadInput: the instant has passed already; a study's time never runs backwards.
        """
        if instant < self.now():
            raise BadInput(f"the clock shows {self.now():%Y-%m-%d %H:%M}Z already; it only moves forward")
        _write_pace(self._mark, _document(self._mark), Pace(instant, datetime.now(UTC), self.pace.speed))


def open_clock(
    data_dir: Path, database: str, speed: float | None, start: datetime | None, *, study_is_empty: bool
) -> Clock:
    """The clock of a data directory: the real one, or the fast one of a demonstration.

    `database` is the study's database without its password; `speed` and `start` ask for a demonstration.

    Raises:
        BadInput: a fast clock for a study's real data, or the real clock for a demonstration's.
    """
    mark = data_dir / MARK
    if speed is None:
        return _real_clock(mark)
    if not mark.exists():
        _begin(mark, database, speed, start, study_is_empty=study_is_empty)
    return _demonstration(mark, database, speed)


def _real_clock(mark: Path) -> Clock:
    if mark.exists():
        speed = f"ITP_CLOCK_SPEED={_read_pace(mark).speed:g}"
        raise BadInput(
            f"{mark.parent} holds a demonstration: set {speed} to go on with it, or another ITP_DATA_DIR"
        )
    return Clock()


def _begin(mark: Path, database: str, speed: float, start: datetime | None, *, study_is_empty: bool) -> None:
    if not study_is_empty:
        raise BadInput(
            "ITP_CLOCK_SPEED is for demonstrations, and this study holds real events: unset it, or set "
            "ITP_DATA_DIR (and ITP_DATABASE_URL) to an empty place"
        )
    if speed <= 0:
        raise BadInput(f"ITP_CLOCK_SPEED must be more than 0, not {speed:g}")
    began = datetime.now(UTC)
    mark.parent.mkdir(parents=True, exist_ok=True)
    _write_pace(mark, {"database": database}, Pace(start or began, began, speed))


def _demonstration(mark: Path, database: str, speed: float) -> FastClock:
    known, pace = _document(mark), _read_pace(mark)
    if known["database"] != database:
        raise BadInput(
            f"the demonstration in {mark.parent} belongs to {known['database']}, not to {database}: set "
            "ITP_DATABASE_URL back, or ITP_DATA_DIR to another directory"
        )
    if pace.speed != speed:
        raise BadInput(
            f"the clock of {mark.parent} runs {pace.speed:g} times: set ITP_CLOCK_SPEED={pace.speed:g}"
        )
    return FastClock(mark)


def _document(mark: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(mark.read_text(encoding="utf-8"))
    return document


def _read_pace(mark: Path) -> Pace:
    document = _document(mark)
    return Pace(
        datetime.fromisoformat(document["start"]),
        datetime.fromisoformat(document["began"]),
        document["speed"],
    )


def _write_pace(mark: Path, document: dict[str, Any], pace: Pace) -> None:
    document |= {"start": pace.start.isoformat(), "began": pace.began.isoformat(), "speed": pace.speed}
    draft = mark.with_suffix(".new")
    draft.write_text(json.dumps(document, indent=1), encoding="utf-8")
    draft.replace(mark)
