"""What a subject's flow run shows of its journey: one state for the wait, whoever sets it."""

from __future__ import annotations

from flows.prefect_api.flow_runs import State, scheduled
from flows.study.runtime import Clock
from tasks.advance import Advanced
from tasks.database.queries import SubjectRow

Standing = Advanced | SubjectRow
"""Where a subject stands: as it was advanced just now, or as the store keeps it."""


def waiting(standing: Standing, clock: Clock) -> State:
    """The state that its flow run waits in; a journey that has ended runs once more, to end itself."""
    return scheduled(clock.wall(standing.wake_at or clock.now()), standing.state, standing.message)
