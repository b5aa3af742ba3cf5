"""Backs the study up at its intervals, into the folder that the settings name.

A backup that fails is a trouble, which stands until one succeeds. The study's people never wait for it: it
reads in a transaction of its own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from flows.study.runtime import Runtime
from itp_events.errors import ItpError
from tasks.archive.backup import Making, back_up
from tasks.archive.protocols import Installed
from tasks.archive.schedule import name_of, remove_drafts, remove_old
from tasks.database import service_log
from tasks.database.event_log import BY_THE_SERVICE
from tasks.database.monitoring import BACKUP, beat, last_beat
from tasks.database.store import first_line
from tasks.database.troubles import note_trouble, settle_trouble

# A folder that is not there, or a full disk, is tried again after so long: a backup reads the whole study.
AGAIN_SECONDS = 600.0

log = logging.getLogger(__name__)


class Stopped(ItpError):
    """The service stops, or another makes the backups now; the one that was being made is dropped."""


@dataclass(frozen=True)
class BackupPlan:
    """The folder of backups, the time between two, and how many are kept.

    `protocols` reads the protocol files that are installed by then. `making` gives the circumstances of a
    backup at an instant (UTC) of the machine's clock.
    """

    folder: Path
    every: timedelta
    keep: int
    protocols: Callable[[], list[Installed]]
    making: Callable[[datetime], Making]


class Backups:
    """Makes the backups of one service."""

    def __init__(self, study: Runtime, plan: BackupPlan | None, may_go_on: Callable[[], bool]) -> None:
        """`may_go_on`: whether the service goes on, and is the one that makes the backups."""
        self._study = study
        self._plan = plan
        self._may_go_on = may_go_on
        self._tried = float("-inf")

    async def make_due(self) -> None:
        """Make a backup when the last good one is old enough."""
        await asyncio.to_thread(self._make_due)

    def _make_due(self) -> None:
        if self._plan is None:
            settle_trouble(self._study.store, BACKUP)
            return
        wall = self._study.wall()
        last = last_beat(self._study.store, BACKUP)
        # A last one that lies ahead was noted by a clock that was wrong.
        is_due = last is None or not timedelta(0) <= wall - last < self._plan.every
        if is_due and time.monotonic() - self._tried > AGAIN_SECONDS:
            self._make(self._plan, wall)

    def _make(self, plan: BackupPlan, wall: datetime) -> None:
        self._tried = time.monotonic()
        try:
            path = self._written(plan, wall)
        except Stopped:
            return
        except (ItpError, OSError, DBAPIError) as problem:
            said = first_line(problem) if isinstance(problem, DBAPIError) else str(problem)
            self._fail(f"the backup into {plan.folder} failed: {said}")
            return
        beat(self._study.store, BACKUP, wall)
        with self._study.store.writing() as connection:
            service_log.note(connection, "backed-up", path.name, BY_THE_SERVICE, wall, {})
        self._tried = float("-inf")
        settle_trouble(self._study.store, BACKUP)
        self._clear(plan, path)

    def _written(self, plan: BackupPlan, wall: datetime) -> Path:
        remove_drafts(plan.folder)
        making = plan.making(wall)
        path = plan.folder / name_of(making)
        store = self._study.store.apart(0)
        try:
            back_up(store, plan.protocols(), path, making, progress=self._go_on)
        finally:
            store.close()
        return path

    def _go_on(self, done: int, total: int) -> None:
        if not self._may_go_on():
            raise Stopped

    def _clear(self, plan: BackupPlan, newest: Path) -> None:
        try:
            gone = remove_old(plan.folder, newest, plan.keep)
        except OSError as problem:
            self._fail(f"old backups in {plan.folder} could not be removed: {problem}")
            return
        log.info("The study is backed up in %s; %s older backups removed.", newest, len(gone))

    def _fail(self, said: str) -> None:
        log.error("%s", said)
        note_trouble(self._study.store, BACKUP, said, self._study.clock.now())
