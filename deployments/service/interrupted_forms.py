"""Plans interrupted runs of forms and events anew, as their senders wait.

A run whose process was killed stays Pending or Running in Prefect for ever. It is planned anew; executing it
twice counts once, because the run's id is the event's. The subjects' journeys are left to the repair.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from flows.prefect_api.flow_runs import Deployment, FlowRun, FlowRuns, PrefectRefused, scheduled

# A form takes some tenths of a second. Executing it twice does no harm.
PATIENCE = timedelta(seconds=5)
# A run that was ended because it took too long is not planned anew at once: it would hold a place all the
# time.
REST = timedelta(minutes=2)
# The state of a run that a person has cancelled: it is not begun again.
CANCELLED = {
    "type": "CANCELLED",
    "name": "Cancelled",
    "message": "cancelled while it was executed: see itp show",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InterruptedForms:
    """Finds the interrupted runs of some deployments; this process started at `began` (UTC)."""

    runs: FlowRuns
    deployments: Collection[Deployment]
    began: datetime

    def take_up(self, executing: Collection[UUID], world: datetime) -> int:
        """Plan every interrupted run for now, except those `executing` in this process; returns their number.

        Raises:
            PrefectSilent: Prefect does not answer; the runs before that are planned.
        """
        return sum(self._again(run, world) for run in self._found(world) if run.id not in executing)

    def _found(self, world: datetime) -> Iterator[FlowRun]:
        types = ("PENDING", "RUNNING", "CANCELLING", "CRASHED")
        for run in self.runs.in_states(self.deployments, types):
            if self._is_left(run, world):
                yield run

    def _is_left(self, run: FlowRun, world: datetime) -> bool:
        since = run.since or world
        if run.state_type == "CRASHED":
            return world - since > REST
        return since < self.began or world - since > PATIENCE

    def _again(self, run: FlowRun, world: datetime) -> bool:
        try:
            cancelled = run.state_type == "CANCELLING"
            self.runs.force(run.id, CANCELLED if cancelled else scheduled(world, "Taken up again"))
        except PrefectRefused as reason:
            # The run was deleted meanwhile, so that it is no longer wanted.
            log.warning("The run %s could not be taken up again: %s", run.name, reason)
            return False
        log.warning("The run %s was left %s, and is taken up again.", run.name, run.state_name)
        return True
