"""Wakes one subject at its time: through its flow run, or without Prefect when Prefect does not answer."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

from prefect.client.schemas.objects import State, StateType

from deployments.service.direct_way import DirectWay
from deployments.service.hand_overs import DueHandOvers
from deployments.service.lateness import WAKE_LATENESS
from deployments.service.prefect_link import PrefectLink
from deployments.service.runner import Runner
from flows.prefect_api.flow_runs import JOURNEY, PrefectProblem
from flows.study.runtime import Runtime
from flows.study.wait_state import waiting_state
from flows.subject_journey import subject_journey
from tasks.database.queries import SubjectRow, subject

# Longer than most wakes take; what takes longer is done beside the flow run.
PATIENCE_SECONDS = 0.3
# Between two wakes of a subject beside a flow run that hangs.
LEAST_SECONDS = 1.0
# Prefect keeps a planned time to the microsecond, and shows it to the second.
EXACT = timedelta(seconds=1)


class Waker:
    """Wakes subjects. Every step may be repeated without harm."""

    def __init__(
        self,
        study: Runtime,
        link: PrefectLink,
        runner: Runner,
        hand_overs: DueHandOvers,
        direct_way: DirectWay,
    ) -> None:
        self._study = study
        self._clock = study.clock
        self._link = link
        self._runner = runner
        self._hand_overs = hand_overs
        self._direct_way = direct_way

    async def wake(self, subject_row: SubjectRow) -> None:
        """Execute the subject's flow run, which records the due decisions and waits for the next date.

        No decision waits for Prefect: when the run must wait for a place, or takes longer than a moment, the
        subject is advanced beside it. While others are on the direct way (many are due at the same minute of
        the morning) it is advanced there alone: Prefect has its run due, which follows.
        """
        if subject_row.wake_at is not None:
            WAKE_LATENESS.observe(max(-self._clock.seconds_until(subject_row.wake_at), 0.0))
        if not self._direct_way.is_clear:
            await self.directly(subject_row.code)
            return
        patience = 0.0 if self._runner.is_full else PATIENCE_SECONDS
        run = asyncio.create_task(self._by_flow_run(subject_row))
        try:
            await asyncio.wait({run}, timeout=patience)
            while not run.done():
                # A run that hangs delays no later time of the subject either.
                wake_at = await self.directly(subject_row.code)
                await asyncio.wait({run}, timeout=self._seconds_until(wake_at))
        finally:
            # The subject is held until its flow run has ended, also when the direct way fails beside it.
            in_order = await run
        if not in_order:
            await self.directly(subject_row.code)

    def _seconds_until(self, wake_at: datetime | None) -> float | None:
        return None if wake_at is None else max(self._clock.seconds_until(wake_at), LEAST_SECONDS)

    async def directly(self, code: str) -> datetime | None:
        """Advance the subject without Prefect, and begin to hand over its due notices.

        Returns the instant (UTC) at which it is due next; None when it never is.
        """
        # The place is free before the hand-over, as a provider may be slow and others are due too.
        async with self._direct_way.place():
            with self._hand_overs.place() as is_kept:
                now = self._clock.now()
                at_once = self._study.claiming(now) if is_kept else None
                advanced = await asyncio.to_thread(self._study.advance, code, now, at_once)
                claims = at_once.claims if at_once else ()
                if claims or advanced.due_notices:
                    self._hand_overs.begin(code, claims)
        return advanced.wake_at

    async def _by_flow_run(self, subject_row: SubjectRow) -> bool:
        if subject_row.flow_run_id is None or not self._link.answers:
            return False
        run = self._link.deployments[JOURNEY].journey(UUID(subject_row.flow_run_id), subject_row.code)
        try:
            at = self._clock.wall(self._clock.now())
            left = await self._runner.run(subject_journey, run, at, self._direct_way)
            return left is not None and await self._is_in_order(subject_row.code, run.id, left)
        except PrefectProblem as reason:
            self._link.note(reason)
            return False

    async def _is_in_order(self, code: str, run: UUID, left: State) -> bool:
        if left.type == StateType.SCHEDULED:
            await asyncio.to_thread(self._show_change, code, run, left.state_details.scheduled_time)
        elif left.type == StateType.CRASHED:
            # The run took too long and was ended: the subject is advanced beside it, and the run waits again.
            await self.directly(code)
            await asyncio.to_thread(self._put_back, code, run)
        return left.type in (StateType.SCHEDULED, StateType.COMPLETED, StateType.CRASHED)

    def _put_back(self, code: str, run: UUID) -> None:
        subject_row = subject(self._study.store, code)
        if subject_row is not None:
            self._link.runs.force(run, waiting_state(subject_row, self._clock))

    def _show_change(self, code: str, run: UUID, shown: datetime | None) -> None:
        """Show the wait anew when an event was recorded while the flow run was leaving."""
        subject_row = subject(self._study.store, code)
        if subject_row is None or shown is None or self._is_shown(subject_row, shown):
            return
        self._link.runs.propose(run, waiting_state(subject_row, self._clock))

    def _is_shown(self, subject_row: SubjectRow, shown: datetime) -> bool:
        return subject_row.wake_at is not None and abs(self._clock.wall(subject_row.wake_at) - shown) < EXACT
