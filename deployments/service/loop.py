"""The service's round: a loop that wakes every subject at its time, from the study's own database.

Prefect runs the journeys as long as it answers. When it does not, subjects are advanced without it, so that
no reminder waits for Prefect; when it answers again, the repair shows what happened meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from prefect import Flow

from deployments.bootstrap.watched_clock import look_and_say
from deployments.prefect.deployments import FLOWS
from deployments.service.deliveries import Deliveries
from deployments.service.digests import Digests
from deployments.service.heartbeat import Heartbeat
from deployments.service.interrupted_forms import InterruptedForms
from deployments.service.prefect_link import PrefectLink
from deployments.service.repair import Repair
from deployments.service.runner import Runner, shared_clients
from deployments.service.serving import Serving
from deployments.service.waker import Waker
from flows.prefect_api.flow_runs import DUE_AT_ONCE, JOURNEY, FlowRun, PrefectProblem
from flows.study.runtime import Runtime
from flows.ui_publisher import AT_ONCE as AT_ONCE_SHOWN
from flows.ui_publisher import STUDY_BOARD, publisher
from tasks import backoff
from tasks.backoff import Backoff
from tasks.database.monitoring import ROUND, beat
from tasks.database.queries import SubjectRow, due_subjects, next_wake
from tasks.database.store import NO_ANSWER, first_line
from tasks.database.troubles import Troubles
from tasks.database.unreadable import Unreadable

# How often each step of the loop is done.
# Waking and sending: what a door could not begin itself waits no longer than this.
BEAT_SECONDS = 1.0
# A Prefect that comes back is used within seconds; asking costs one small request.
FIND_SECONDS = 2.0
# Forms and events in Prefect: their senders look at the run, and wait for its answer.
ASK_SECONDS = 5.0
# Forms that a killed process left, and deployments that somebody changed.
TAKE_UP_SECONDS = 10.0
# Pages are only looked at; `flows.ui_publisher` makes the board more rarely still.
SHOW_SECONDS = 5.0
# A digest leaves within half a minute of its time.
DIGEST_SECONDS = 20.0
# /healthz takes the loop for dead after three of these without a sign of life.
HEARTBEAT_SECONDS = 10.0
# A clock that jumps is noticed before much is decided by it.
CLOCK_SECONDS = 3.0

# Subjects are fetched so long before their time, so that each wakes on the second: longer than one beat.
AHEAD_SECONDS = 2.0
# What has begun is given so long to end when the service stops; service managers kill after more.
DRAIN_SECONDS = 10.0
# A step that failed by a fault of the program is left alone for so long, which keeps the log readable.
FAULT_SECONDS = 5.0
# A database that does not answer is named once a minute: every step meets it.
COMPLAIN_SECONDS = 60.0
# Subjects fetched in one beat: more than come due at one minute of the morning in most studies.
AT_ONCE = 200

log = logging.getLogger(__name__)


class ServiceLoop:
    """Wakes subjects, hands over again what failed, runs what else Prefect has due, repairs."""

    def __init__(self, study: Runtime, repair_seconds: float, serving: Serving | None = None) -> None:
        self._study = study
        self._clock = study.clock
        self._repair_seconds = repair_seconds
        self.link = PrefectLink(study, serving)
        self._runner = Runner(self.link.runs)
        self._hand_overs = Deliveries(study)
        self._waker = Waker(study, self.link, self._runner, self._hand_overs)
        self._backoff = Backoff(backoff.WAKE)
        self._troubles = Troubles(study.store)
        self._publisher = publisher(study)
        self._introduced = False
        self._digests = Digests(study, self.link, self._runner)
        self._held: dict[str, asyncio.Task[None]] = {}
        self._others: set[asyncio.Task[Any]] = set()
        self._repairing = asyncio.Lock()
        self._stop = asyncio.Event()
        self._complained_at = float("-inf")
        self._heartbeat = Heartbeat("waking", "sending")
        self._began = self._clock.wall(self._clock.now())

    def stop(self) -> None:
        """Claim nothing more; `go` ends when what has begun has ended, after 10 s at most."""
        self._runner.close()
        self._hand_overs.close()
        self._stop.set()

    async def go(self) -> bool:
        """Go round until `stop`; whether everything that had begun came to its end."""
        async with shared_clients():
            beats = [asyncio.create_task(self._every(seconds, step)) for seconds, step in self._steps()]
            stopped = asyncio.create_task(self._stop.wait())
            await asyncio.wait([stopped, *beats], return_when=asyncio.FIRST_COMPLETED)
            self.stop()
            drained = await self._drain(beats)
            for beat in beats:
                if beat.done():
                    beat.result()
            return drained

    def _steps(self) -> Iterable[tuple[float, Callable[[], Awaitable[None]]]]:
        yield FIND_SECONDS, self._find_prefect
        yield BEAT_SECONDS, self._heartbeat.of("waking", self._wake_due)
        yield BEAT_SECONDS, self._heartbeat.of("sending", self._hand_overs.sweep)
        yield ASK_SECONDS, self._run_others
        yield TAKE_UP_SECONDS, self._take_up
        yield self._repair_seconds, self._repair
        yield SHOW_SECONDS, self._publish
        yield DIGEST_SECONDS, self._digests.send_due
        yield HEARTBEAT_SECONDS, self._beat
        yield CLOCK_SECONDS, self._look_at_clock

    async def _every(self, seconds: float, step: Callable[[], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        while not self._stop.is_set():
            began = loop.time()
            try:
                await step()
            except PrefectProblem as reason:
                self.link.note(reason)
            except NO_ANSWER as problem:
                self._complain(problem)
            except Exception:
                # What goes wrong in one of these steps must stop none of the others.
                log.exception("A step of the round failed; it is tried again.")
                await self._pause(FAULT_SECONDS)
            await self._pause(began + seconds - loop.time())

    def _complain(self, problem: Exception) -> None:
        """Say that the database does not answer: at once, and again every minute."""
        now = time.monotonic()
        if now - self._complained_at > COMPLAIN_SECONDS:
            self._complained_at = now
            log.error("The study's database does not answer, trying again: %s", first_line(problem))

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), max(seconds, 0.001))
        except TimeoutError:
            return

    async def _wake_due(self) -> None:
        until = self._clock.ahead(AHEAD_SECONDS)
        # Those that failed are the longest due: however many they are, there is room for others.
        limit = AT_ONCE + len(self._backoff)
        for row in await asyncio.to_thread(due_subjects, self._study.store, until, limit):
            if row.code not in self._held and self._backoff.is_over(row.code):
                self._held[row.code] = asyncio.create_task(self._wake(row))

    async def _wake(self, row: SubjectRow) -> None:
        try:
            if await self._time_comes(row):
                await self._waker.wake(row)
            self._backoff.succeeded(row.code)
            await asyncio.to_thread(self._troubles.settle, row.code)
        except NO_ANSWER as problem:
            seconds = self._backoff.unanswered(row.code)
            log.error(
                "%s could not be woken; trying again in %g s: %s", row.code, seconds, first_line(problem)
            )
        except Unreadable as problem:
            seconds = self._backoff.failed(row.code)
            log.error("%s; trying again in %g s.", problem, seconds)
            await self._trouble(row.code, str(problem))
        except Exception as problem:
            # One subject's failure must not keep the others waiting; it is tried again, and repaired.
            seconds = self._backoff.failed(row.code)
            log.exception("%s could not be woken; trying again in %g s.", row.code, seconds)
            await self._trouble(row.code, f"{row.code} could not be woken: {problem!r}")
        finally:
            del self._held[row.code]

    async def _trouble(self, about: str, what: str) -> None:
        """Let the board and /healthz say what a person must mend."""
        try:
            await asyncio.to_thread(self._troubles.note, about, what, self._clock.now())
        except NO_ANSWER as problem:
            self._complain(problem)

    async def _time_comes(self, row: SubjectRow) -> bool:
        """Wait for the subject's time; False when the round is stopped before."""
        assert row.wake_at is not None
        while (seconds := self._clock.seconds_until(row.wake_at)) > 0 and not self._stop.is_set():
            await self._pause(seconds)
        return not self._stop.is_set()

    async def _beat(self) -> None:
        if still := self._heartbeat.standing_still():
            log.error("No sign of life of the round is given: %s stands still.", " and ".join(still))
            return
        wall = self._clock.wall(self._clock.now())
        await asyncio.to_thread(beat, self._study.store, ROUND, wall)

    async def _look_at_clock(self) -> None:
        await asyncio.to_thread(look_and_say, self._study, self._troubles)

    async def _find_prefect(self) -> None:
        if await self.link.find():
            await self._take_up()
            await self._repair()
            self._introduced = False

    async def _run_others(self) -> None:
        """Run what Prefect has due besides: events from forms, runs that somebody started or woke."""
        if not self.link.answers:
            return
        # A database that does not answer is told apart here, before runs are begun that must wait for it.
        await asyncio.to_thread(next_wake, self._study.store)
        deployments = self.link.deployments
        world = self._clock.wall(self._clock.now())
        flows = {known.id: FLOWS[name] for name, known in deployments.items()}
        for run in await asyncio.to_thread(self._due, world, self._runner.executing):
            if run.deployment_id in flows:
                task = asyncio.create_task(self._run_other(run, flows[run.deployment_id]))
                self._others.add(task)
                task.add_done_callback(self._others.discard)

    def _due(self, world: datetime, executing: Collection[UUID]) -> list[FlowRun]:
        """Journeys and forms alike; many journeys due at the same minute keep no form waiting."""
        known = self.link.deployments
        found = self.link.runs.due(known.values(), world)
        if len(found) >= DUE_AT_ONCE:
            found += self.link.runs.due([known[name] for name in known if name != JOURNEY], world)
        return self.link.admit(run for run in found if run.id not in executing)

    async def _run_other(self, run: FlowRun, flow: Flow[..., Any]) -> None:
        try:
            await self._runner.run(flow, run, self._clock.wall(self._clock.now()))
        except PrefectProblem as reason:
            self.link.note(reason)
        except Exception:
            log.exception("The flow run %s could not be executed.", run.name)

    async def _take_up(self) -> None:
        """Put back what was changed in Prefect, and plan anew the forms that a killed process has left."""
        await self.link.keep_in_order()
        others = [known for name, known in self.link.deployments.items() if name != JOURNEY]
        if others:
            left = InterruptedForms(self.link.runs, others, self._began)
            world = self._clock.wall(self._clock.now())
            await asyncio.to_thread(left.take_up, self._runner.executing, world)

    async def _repair(self) -> None:
        if not self.link.answers:
            return
        async with self._repairing:
            await self.link.look_up()
            repair = Repair(self._study, self.link.runs, self.link.deployments[JOURNEY])
            await asyncio.to_thread(repair.all, self._runner.executing)

    async def _publish(self) -> None:
        """Bring up to date what Prefect shows of the study; nothing else waits for it."""
        try:
            if self.link.answers and not self._introduced:
                # The repair comes first: pages and events name the flow runs that it creates.
                async with self._repairing:
                    board = self.link.deployments.get(STUDY_BOARD)
                    await asyncio.to_thread(self._publisher.begin, board)
                self._introduced = True
            while self.link.answers and not self._stop.is_set():
                if await asyncio.to_thread(self._publisher.publish) < AT_ONCE_SHOWN:
                    return
        except PrefectProblem as reason:
            log.info("Prefect's UI shows the study later: %s", reason)
        except NO_ANSWER:
            raise
        except Exception:
            # What is only looked at must not stop the timers.
            log.exception("What Prefect's UI shows of the study is not up to date.")

    async def _drain(self, beats: list[asyncio.Task[None]]) -> bool:
        begun = [*beats, *self._held.values(), *self._others, *self._hand_overs.begun]
        _, running = await asyncio.wait(begun, timeout=DRAIN_SECONDS)
        return not running
