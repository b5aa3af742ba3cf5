"""The state in which a subject's flow run shows its wait: the same by whichever way it is set."""

from __future__ import annotations

from flows.prefect_api.flow_runs import State, scheduled
from flows.study.runtime import Clock
from tasks.advance import Advanced
from tasks.database.queries import SubjectRow

SubjectNow = Advanced | SubjectRow
"""Where a subject stands: as it was advanced just now, or as the store keeps it."""


def waiting_state(subject: SubjectNow, clock: Clock) -> State:
    """The state in which the flow run waits. A journey that has ended runs once more, to end its run."""
    return scheduled(clock.wall(subject.wake_at or clock.now()), subject.state, subject.message)
