"""Shares a study among the services that work on it: this one's jobs, and the subjects that it wakes.

What one service alone must do is done by the one that holds the lease of that job, and each due subject is
woken by the one that holds the subject's. A service that dies or cannot reach the database loses its leases
some seconds later, and stops before that by itself. A SQLite file has one service, which holds everything.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from threading import Lock
from typing import Literal

import sqlalchemy as sa

from flows.study.runtime import Runtime
from tasks.database import leases
from tasks.database.instance import Instance
from tasks.database.queries import SubjectRow, due_subjects
from tasks.database.schema import subjects
from tasks.database.store import Store

Job = Literal["study", "prefect"]
# Digests, backups, and whatever else is done once for a study.
STUDY: Job = "study"
# All that is put right, shown and begun in Prefect besides the wakes: done by a service that reaches it.
PREFECT: Job = "prefect"
_SAID: Mapping[Job, str] = {STUDY: "the study", PREFECT: "Prefect"}

# A service that could not confirm its jobs for so long does them no more: less than `leases.LIFE`, after
# which another takes them.
SURE_SECONDS = 4.0

log = logging.getLogger(__name__)


class Sharing:
    """The leases of one service; its methods may be called from several threads."""

    def __init__(self, store: Store, instance: Instance, wall: Callable[[], datetime]) -> None:
        """`wall` tells the world's present instant."""
        self._store, self._instance, self._wall = store, instance, wall
        self._jobs: dict[Job, float] = {}
        # How often each subject's lease is in use, and those that are not used any more.
        self._uses: Counter[str] = Counter()
        self._unused: set[str] = set()
        self._counting = Lock()
        # Nothing is taken while something is given back: it could be the same.
        self._changing = Lock()

    @classmethod
    def of(cls, study: Runtime) -> Sharing:
        """The leases of the service that works on a study in this process."""
        return cls(study.store, study.instance, study.wall)

    @property
    def is_alone(self) -> bool:
        """Whether no other service can work on the study."""
        return self._store.engine.name == "sqlite"

    def holds(self, job: Job) -> bool:
        """Whether a job is this service's now."""
        confirmed = self._jobs.get(job)
        return self.is_alone or (confirmed is not None and time.monotonic() - confirmed <= SURE_SECONDS)

    def take_turn(self, able: Collection[Job]) -> None:
        """Give a sign of life, confirm one's own jobs and take those that nobody does; called every second.

        A job that this service is not `able` to do is left to another.

        Raises:
            OperationalError: the database does not answer; the jobs are lost some seconds later.
        """
        if self.is_alone:
            return
        began = time.monotonic()
        if self._instance.give_sign(self._store, self._wall()):
            mine = self._confirmed(able)
            for job in mine - self._jobs.keys():
                log.info("What one service alone does in %s is done by this one from now on.", _SAID[job])
            self._jobs = dict.fromkeys(mine, began)

    def _confirmed(self, able: Collection[Job]) -> set[Job]:
        holders = self._holders(able)
        free = [job for job in able if job not in holders]
        with self._changing:
            left = self._no_longer_used() | (self._jobs.keys() - set(able))
            if free or left:
                self._store.write(lambda connection: self._change(connection, free, left))
        holders = self._holders(able) if free else holders
        return {job for job in able if holders.get(job) == self._instance.id}

    def _holders(self, jobs: Collection[Job]) -> dict[str, str]:
        with self._store.reading() as connection:
            return leases.holders(connection, jobs, self._wall())

    def _no_longer_used(self) -> set[str]:
        with self._counting:
            unused, self._unused = self._unused, set()
            return unused

    def _change(self, connection: sa.Connection, free: Collection[str], left: Collection[str]) -> None:
        if left:
            leases.give_back(connection, self._instance.id, left)
        leases.take(connection, self._instance.id, free)

    def due_subjects(self, until: datetime, limit: int) -> list[SubjectRow]:
        """The subjects that are due `until` an instant of the study's time, without those of other services;
        the longest due first.

        Raises:
            OperationalError: the database does not answer.
        """
        name = sa.literal(_name("")) + subjects.c.code
        others = None if self.is_alone else leases.others_hold(name, self._instance.id)
        return due_subjects(self._store, until, limit, others)

    def take(self, codes: Collection[str]) -> set[str]:
        """Take subjects; returns the codes that are this service's until each of them is left.

        The empty code stands for the service's own notices.

        Raises:
            OperationalError: the database does not answer; then nothing is taken.
        """
        if self.is_alone or not codes:
            return set(codes)
        # Without a sign of life another could take the same at the same time.
        if not self._instance.give_sign(self._store, self._wall()):
            return set()
        named = {_name(code): code for code in codes}
        with self._changing:
            names = self._store.write(lambda connection: leases.take(connection, self._instance.id, named))
            with self._counting:
                self._uses.update(names)
                self._unused -= names
        return {named[name] for name in names}

    def stay(self, code: str) -> None:
        """Use a subject that was taken once more."""
        with self._counting:
            self._uses[_name(code)] += 1

    def leave(self, code: str) -> None:
        """End one use of a subject that was taken; after the last one another service may take it."""
        name = _name(code)
        with self._counting:
            self._uses[name] -= 1
            if self._uses[name] <= 0:
                del self._uses[name]
                self._unused.add(name)

    def resign(self) -> None:
        """Leave everything to the others at once, at the service's end.

        Raises:
            OperationalError: the database does not answer; the others wait some seconds.
        """
        self._jobs = {}
        if not self.is_alone:
            self._store.write(lambda connection: leases.give_back(connection, self._instance.id))


def _name(code: str) -> str:
    return f"subject {code}"
