"""Puts every subject's flow run back into the state that the study's database gives it.

The study's database is the truth, and Prefect's a copy of it. The journey goes on after any change of its run
in Prefect: cancelled by hand, left Pending or Running by a dead process, failed, deleted, or lost with
Prefect's whole database. Each repair is kept in the study's repairs log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from uuid import UUID

from flows.prefect_api.flow_runs import LIVE, Deployment, FlowRun, FlowRuns, PrefectRefused
from flows.study.recording import start_journey
from flows.study.runtime import Runtime
from flows.study.wait_state import waiting_state
from flows.subject_journey import OWN_RUN, SECOND
from tasks.database.prefect_notes import remember_flow_runs
from tasks.database.queries import SubjectRow, all_subjects, subject
from tasks.database.repairs import note_repair

# Longer than a wake may take: a claimed run is left alone for that time.
PATIENCE = timedelta(minutes=2)
EXACT = timedelta(seconds=1)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wait:
    """A run's wanted state, in the world's time; `until` is None after the journey's end."""

    until: datetime | None
    state: str
    deployment: UUID
    world: datetime


@dataclass(frozen=True)
class Repair:
    """Looks at every subject's flow run and puts back those in another state than they should have."""

    study: Runtime
    runs: FlowRuns
    journeys: Deployment
    # Whether it is still this service that repairs.
    may_go_on: Callable[[], bool] = lambda: True

    def all(self, busy: Collection[UUID]) -> int:
        """Mend every run except those `busy` in this process; returns the number of mended runs.

        Raises:
            PrefectSilent: Prefect does not answer; the runs before that are mended.
        """
        # Subjects whose journey goes on come first: it takes a while to fill an emptied Prefect.
        subject_rows = sorted(
            all_subjects(self.study.store), key=lambda subject_row: subject_row.wake_at is None
        )
        found = self.runs.find([subject_row.code for subject_row in subject_rows])
        self._end_others(found, busy)
        pairs = ((subject_row, found.get(subject_row.code)) for subject_row in subject_rows)
        return sum(
            self._try(subject_row, run)
            for subject_row, run in takewhile(lambda _: self.may_go_on(), pairs)
            if run is None or run.id not in busy
        )

    def _end_others(self, journeys: Mapping[str, FlowRun], busy: Collection[UUID]) -> None:
        """End the journeys that were started by hand beside the subjects' own."""
        ours = {run.id for run in journeys.values()}
        live = sum(
            run.state_type in LIVE and run.deployment_id == self.journeys.id for run in journeys.values()
        )
        if self.runs.live(self.journeys) <= live:
            return
        for run in list(self.runs.all_live(self.journeys)):
            # A run with the subject's code as its key may be its own, made after the others were read.
            if run.id not in ours and run.id not in busy and run.key != run.parameters.get("subject"):
                self._end(run)

    def _end(self, run: FlowRun) -> None:
        code = str(run.parameters.get("subject"))
        log.warning("%s: a second journey (%s) was started in Prefect; ended", code, run.name)
        try:
            self.runs.force(run.id, {"type": "CANCELLED", "name": SECOND, "message": OWN_RUN.format(code)})
        except PrefectRefused as reason:
            log.warning("The second journey %s could not be ended: %s", run.name, reason)
            return
        note_repair(
            self.study.store,
            f"a second journey of {code} was started in Prefect; ended",
            self.study.clock.now(),
        )

    def _try(self, subject_row: SubjectRow, run: FlowRun | None) -> bool:
        try:
            return self.mend(subject_row, run)
        except PrefectRefused as reason:
            # For example, the run was deleted meanwhile. The others are mended all the same.
            log.warning(
                "%s: its flow run could not be put back, trying again later: %s", subject_row.code, reason
            )
            return False

    def mend(self, subject_row: SubjectRow, run: FlowRun | None) -> bool:
        """Put one subject's flow run right, as both were read; True when the run was at fault.

        Raises:
            PrefectProblem: Prefect does not answer, or refuses.
        """
        # The subject and its run may have moved on since they were read; a claimed run is left alone.
        if self._fault(subject_row, run) is not None:
            subject_row, run = self._again(subject_row, run)
        problem = self._fault(subject_row, run)
        if problem is None:
            self._remember(subject_row, run)
            return False
        self._put_back(subject_row, run)
        if run is None and subject_row.flow_run_id is None:
            # The door had no time to create the run: nothing was broken.
            return False
        log.warning("%s: %s; put back to %s", subject_row.code, problem, subject_row.state)
        note_repair(
            self.study.store,
            f"{problem}; put back to {subject_row.state}",
            self.study.clock.now(),
            subject_row.code,
        )
        return True

    def _fault(self, subject_row: SubjectRow, run: FlowRun | None) -> str | None:
        clock = self.study.clock
        until = clock.wall(subject_row.wake_at) if subject_row.wake_at else None
        return fault(run, Wait(until, subject_row.state, self.journeys.id, clock.wall(clock.now())))

    def _again(self, subject_row: SubjectRow, run: FlowRun | None) -> tuple[SubjectRow, FlowRun | None]:
        return subject(self.study.store, subject_row.code) or subject_row, run and self.runs.read(run.id)

    def _put_back(self, subject_row: SubjectRow, run: FlowRun | None) -> None:
        if run is not None and run.deployment_id == self.journeys.id and not _is_another_s(run):
            self.runs.force(run.id, waiting_state(subject_row, self.study.clock))
            return
        if run is not None:
            self.runs.delete(run.id)
        start_journey(self.study, self.runs, subject_row)

    def _remember(self, subject_row: SubjectRow, run: FlowRun | None) -> None:
        if run is not None and subject_row.flow_run_id != str(run.id):
            remember_flow_runs(self.study.store, {subject_row.code: str(run.id)})


def fault(run: FlowRun | None, wait: Wait) -> str | None:
    """The fault of a subject's flow run in words; None when there is none."""
    if run is None:
        return "its flow run was missing"
    if run.deployment_id != wait.deployment and wait.until is not None:
        return "its flow run belonged to a deployment that is gone"
    if _is_another_s(run):
        return "its flow run was made for another subject"
    if run.state_type in ("PENDING", "RUNNING"):
        return _stuck(run, wait.world)
    if wait.until is None:
        return _not_ended(run, wait)
    return _not_waiting(run, wait, wait.until)


def _is_another_s(run: FlowRun) -> bool:
    """Whether a run with a subject's key was made, or changed, to advance another subject."""
    return run.key is not None and run.parameters != {"subject": run.key}


def _stuck(run: FlowRun, world: datetime) -> str | None:
    since = run.since or world
    return f"its flow run was {run.state_name} since {since:%H:%M:%S}Z" if world - since > PATIENCE else None


def _not_ended(run: FlowRun, wait: Wait) -> str | None:
    if run.state_type == "COMPLETED" and run.state_name == wait.state:
        return None
    if run.state_type == "SCHEDULED" and _soon(run, wait.world):
        return None
    return f"its journey has ended, and its flow run was {run.state_name}"


def _not_waiting(run: FlowRun, wait: Wait, until: datetime) -> str | None:
    if run.state_type != "SCHEDULED" or run.planned is None:
        return f"its flow run was {run.state_name}"
    if _soon(run, wait.world) or until <= wait.world:
        return None
    if abs(run.planned - until) > EXACT:
        return f"its flow run was planned for {run.planned:%Y-%m-%d %H:%M:%S}Z"
    return None if run.state_name == wait.state else f"its flow run showed {run.state_name}"


def _soon(run: FlowRun, world: datetime) -> bool:
    """Whether the run was woken on purpose and will be executed within seconds."""
    return run.planned is not None and timedelta() <= world - run.planned < PATIENCE
