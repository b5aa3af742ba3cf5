"""The service's loop: each of its steps again and again, at its own interval, from the study's own database.

Prefect runs the journeys as long as it answers. When it does not, subjects are advanced without it, so that
no reminder waits for Prefect; when it answers again, the repair shows what happened meanwhile. What a step
does is in the module of its class.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from functools import partial

from deployments.bootstrap.watched_clock import CLOCK, look_and_say
from deployments.prefect.pool import POOL, worker_name
from deployments.service.backups import BackupPlan, Backups
from deployments.service.cards_ahead import CardsAhead
from deployments.service.digests import Digests
from deployments.service.direct_way import DirectWay
from deployments.service.hand_overs import DueHandOvers
from deployments.service.heartbeat import Heartbeat
from deployments.service.posted_events import PostedEvents
from deployments.service.prefect_link import PrefectLink
from deployments.service.prefect_runs import PrefectRuns
from deployments.service.records import Records
from deployments.service.repair import Repair
from deployments.service.runner import Runner, shared_clients
from deployments.service.sharing import PREFECT, STUDY, Job, Sharing
from deployments.service.silent_database import SilentDatabase
from deployments.service.sole_prefect import SolePrefect
from deployments.service.stop import Stop
from deployments.service.waker import Waker
from deployments.service.wakes import Wakes
from flows.prefect_api.flow_runs import JOURNEY, RECORD_EVENT, PrefectProblem
from flows.study.runtime import Runtime
from flows.ui_publisher import AT_ONCE as SHOWN_AT_ONCE
from flows.ui_publisher import STUDY_BOARD, publisher
from tasks import hand_over_messages
from tasks.database.instance import SIGN_SECONDS
from tasks.database.monitoring import ROUND, beat
from tasks.database.prefect_notes import is_any_without_run
from tasks.database.store import NO_ANSWER
from tasks.database.troubles import LeftTroubles, OwnTrouble, settle_woken
from tasks.delivery import alarms
from tasks.integrity.stamps import Authority

# How often each step of the loop is done.
# The sign of life, by which this service keeps what it does: as often as others look for it.
TURN_SECONDS = SIGN_SECONDS
# Waking and sending: what a door could not begin itself waits no longer than this.
BEAT_SECONDS = 1.0
# A Prefect that comes back is used within seconds; asking costs one small request.
FIND_SECONDS = 2.0
# Forms and events in Prefect: their senders look at the run, and wait for its answer.
ASK_SECONDS = 5.0
# Forms that a killed process left, and deployments that somebody changed.
TAKE_UP_SECONDS = 10.0
# What was posted to Prefect and has no run: Prefect makes nearly all of them itself.
POSTED_SECONDS = 10.0
# Pages are only looked at; `flows.ui_publisher` makes the board more rarely still.
SHOW_SECONDS = 5.0
# Where many pages are behind, each go is followed by a pause of so many times its length: Prefect's server
# works on a page for longer than this process, and doors and timers need the processor.
SHOW_PAUSE = 2.0
# Prefect's server takes as long for a page as for a flow run, which is what people look for after an
# enrolment. A subject whose run cannot be made keeps the pages waiting for no longer than this.
RUNS_FIRST = timedelta(seconds=30)
# A digest leaves within half a minute of its time.
DIGEST_SECONDS = 20.0
# Backups are hours apart; one that is due is begun within a minute.
BACKUP_SECONDS = 60.0
# /healthz takes the loop for dead after three of these without a sign of life.
HEARTBEAT_SECONDS = 10.0
# A trouble is told when it has stood for minutes; the board shows soon that it is over.
ALARM_SECONDS = 5.0
# Rows are registered every ten minutes, sealed every hour, and verified every day.
RECORDS_SECONDS = 30.0
# Prefect shows who serves the pool. It takes one for gone that was silent for three times as long.
AT_WORK_SECONDS = 30.0
# Who takes over gets the message within half a minute.
TAKE_OVER_SECONDS = 20.0
# A clock that jumps is noticed before much is decided by it.
CLOCK_SECONDS = 3.0

# Work that has begun is given so long to end when the service stops; service managers kill after more.
DRAIN_SECONDS = 10.0
# A step that failed by a fault of the program is left alone for so long, which keeps the log readable.
FAULT_SECONDS = 5.0

log = logging.getLogger(__name__)


class ServiceLoop:
    """Wakes subjects, hands over again what failed, runs what else Prefect has due, repairs."""

    def __init__(
        self,
        study: Runtime,
        repair_seconds: float,
        sole: SolePrefect | None = None,
        backups: BackupPlan | None = None,
        authority: Authority | None = None,
    ) -> None:
        self._study = study
        self._repair_seconds = repair_seconds
        self._stop = Stop()
        self._database = SilentDatabase()
        self._clock_trouble = OwnTrouble(study.store, CLOCK, study.instance.id)
        self._left_troubles = LeftTroubles(study.store)
        self._heartbeat = Heartbeat("waking", "sending")
        # How often the loop has come round to its beat, whatever the database said to it.
        self.beats = 0
        self._sharing = Sharing.of(study)
        self.link = PrefectLink(study, sole, self._leads)
        self._runner = Runner(self.link.runs)
        self._hand_overs = DueHandOvers(study, self._sharing)
        self._direct_way = DirectWay()
        waker = Waker(study, self.link, self._runner, self._hand_overs, self._direct_way)
        self._wakes = Wakes(study, waker, self._stop, self._database, self._sharing)
        self._prefect_runs = PrefectRuns(study, self.link, self._runner, self._sharing, self._direct_way)
        self._cards = CardsAhead(study, self._direct_way, self._has_the_study)
        self._digests = Digests(study, self.link, self._runner, self._sharing, self._cards)
        self._backups = Backups(study, backups, self._has_the_study)
        self._records = Records(study, self._has_the_study, authority)
        self._publisher = publisher(study)
        self._posted = PostedEvents(study)
        # Whether the last look found Prefect in order and in this service's hands.
        self._led = False
        self._introduced = False
        self._repairing = asyncio.Lock()

    def stop(self) -> None:
        """Claim nothing more; `go` ends when what has begun has ended, after 10 s at most."""
        self._runner.close()
        self._hand_overs.close()
        self._stop.set()

    async def go(self) -> bool:
        """Go round until `stop`; False when something that had begun did not end."""
        async with shared_clients():
            beats = [asyncio.create_task(self._every(seconds, step)) for seconds, step in self._steps()]
            stopped = asyncio.create_task(self._stop.wait())
            await asyncio.wait([stopped, *beats], return_when=asyncio.FIRST_COMPLETED)
            self.stop()
            drained = await self._drain(beats)
            for beat in beats:
                if beat.done():
                    beat.result()
            with suppress(*NO_ANSWER):
                await asyncio.to_thread(self._sharing.resign)
            return drained

    def _leads(self) -> bool:
        """Whether it is this service that puts Prefect in order and shows the study there."""
        return self._sharing.holds(PREFECT)

    def _has_the_study(self) -> bool:
        return self._sharing.holds(STUDY) and not self._stop.is_set()

    def _steps(self) -> Iterable[tuple[float, Callable[[], Awaitable[None]]]]:
        yield TURN_SECONDS, self._take_turn
        yield FIND_SECONDS, self._find_prefect
        yield BEAT_SECONDS, self._lead
        yield BEAT_SECONDS, self._heartbeat.of("waking", self._wakes.begin_due)
        yield BEAT_SECONDS, self._heartbeat.of("sending", self._hand_overs.sweep)
        yield ASK_SECONDS, self._begin_runs
        yield TAKE_UP_SECONDS, self._take_up
        yield POSTED_SECONDS, self._bring_posted
        yield self._repair_seconds, self._repair
        yield SHOW_SECONDS, self._publish
        yield DIGEST_SECONDS, self._digests.send_due
        yield BACKUP_SECONDS, self._make_backups
        yield RECORDS_SECONDS, self._records.see_to
        yield HEARTBEAT_SECONDS, self._beat
        yield CLOCK_SECONDS, self._look_at_clock
        yield ALARM_SECONDS, self._tell_of_troubles
        yield TAKE_OVER_SECONDS, self._tell_of_take_overs
        yield AT_WORK_SECONDS, self._show_at_work

    async def _every(self, seconds: float, step: Callable[[], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        while not self._stop.is_set():
            began = loop.time()
            try:
                await step()
            except PrefectProblem as reason:
                self.link.note(reason)
            except NO_ANSWER as problem:
                self._database.complain(problem)
            except Exception:
                # An error in one of these steps must stop none of the others.
                log.exception("A step of the loop failed; it is tried again.")
                await self._stop.pause(FAULT_SECONDS)
            await self._stop.pause(began + seconds - loop.time())

    async def _beat(self) -> None:
        self.beats += 1
        if still := self._heartbeat.standing_still():
            log.error("The service's loop gives no sign of life: %s stands still.", " and ".join(still))
            return
        wall = self._study.wall()
        await asyncio.to_thread(beat, self._study.store, ROUND, wall)

    async def _look_at_clock(self) -> None:
        await asyncio.to_thread(look_and_say, self._study, self._clock_trouble)

    async def _tell_of_troubles(self) -> None:
        """Tell `ops` of the troubles that a person must mend; the next sweep hands the notices over."""
        if self._sharing.holds(STUDY):
            store, now = self._study.store, self._study.clock.now()
            await asyncio.to_thread(settle_woken, store, now)
            if not self._sharing.is_alone:
                await asyncio.to_thread(self._left_troubles.settle, self._study.wall())
            await asyncio.to_thread(alarms.tell, store, now)

    async def _tell_of_take_overs(self) -> None:
        """Tell who takes over from somebody, or comes back, what is open."""
        store, protocol, now = self._study.store, self._study.protocol, self._study.clock.now()
        if not self._has_the_study():
            return
        if await asyncio.to_thread(hand_over_messages.is_due, store, protocol, now):
            await self._cards.make()
        await asyncio.to_thread(hand_over_messages.tell, store, protocol, self._study.clock.now())

    async def _take_turn(self) -> None:
        # A service that does not reach Prefect leaves to another what is to be done there.
        able: list[Job] = [STUDY, PREFECT] if self.link.is_there else [STUDY]
        await asyncio.to_thread(self._sharing.take_turn, able)

    async def _find_prefect(self) -> None:
        if await self.link.find():
            # It may have been emptied meanwhile, or another service may have shown the study in it.
            self._led = False

    async def _lead(self) -> None:
        """Put everything in Prefect right at once when it was found, or when another service's part fell to
        this one.
        """
        led, self._led = self._led, self._is_leading()
        if self._led and not led:
            try:
                await self._take_up()
                await self._repair()
            except Exception:
                self._led = False
                raise
            self._introduced = False

    async def _begin_runs(self) -> None:
        if self._leads():
            await self._prefect_runs.begin_due()

    async def _make_backups(self) -> None:
        if self._has_the_study():
            await self._backups.make_due()

    async def _take_up(self) -> None:
        """Put back what was changed in Prefect, and plan anew the forms that a killed process has left."""
        await self.link.keep_in_order()
        if self._leads():
            await self._prefect_runs.take_up()

    async def _bring_posted(self) -> None:
        if self._is_leading():
            recording = self.link.deployments[RECORD_EVENT]
            try:
                await asyncio.to_thread(self._posted.bring, self.link.runs, recording)
            except PrefectProblem as reason:
                # Events are many where Prefect is busy; the wakes need not do without it for that.
                log.info("Events posted to Prefect are looked at later: %s", reason)

    async def _show_at_work(self) -> None:
        if self.link.answers:
            name = worker_name(self._study.place)
            await asyncio.to_thread(self.link.runs.show_at_work, POOL, name, int(AT_WORK_SECONDS))

    async def _repair(self) -> None:
        if not self._is_leading():
            return
        async with self._repairing:
            await self.link.look_up()
            goes_on = partial(self._goes_on, asyncio.get_running_loop())
            repair = Repair(self._study, self.link.runs, self.link.deployments[JOURNEY], goes_on)
            await asyncio.to_thread(repair.all, self._runner.executing)

    def _goes_on(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Wait, in a thread, until the direct way is clear; return whether this service leads still."""
        self._direct_way.wait_clear_in_a_thread(loop)
        return self._leads()

    async def _show_some(self) -> bool:
        """Show some of the subjects that are behind; return whether there may be more."""
        await self._direct_way.wait_clear()
        now = self._study.clock.now()
        lately = (self._study.store, now - RUNS_FIRST, now)
        if not self._is_leading() or await asyncio.to_thread(is_any_without_run, *lately):
            return False
        return await asyncio.to_thread(self._publisher.publish) >= SHOWN_AT_ONCE

    async def _publish(self) -> None:
        """Bring up to date what Prefect shows of the study; nothing else waits for it."""
        try:
            if self._is_leading() and not self._introduced:
                # The repair comes first: pages and events name the flow runs that it creates.
                async with self._repairing:
                    board = self.link.deployments.get(STUDY_BOARD)
                    await asyncio.to_thread(self._publisher.begin, board)
                self._introduced = True
            await self._stop.repeat(self._show_some, SHOW_PAUSE)
        except PrefectProblem as reason:
            log.info("Prefect's UI shows the study later: %s", reason)
        except NO_ANSWER:
            raise
        except Exception:
            # The UI only shows: an error there must not stop the timers.
            log.exception("What Prefect's UI shows of the study is not up to date.")

    def _is_leading(self) -> bool:
        return self.link.answers and self._leads()

    async def _drain(self, beats: list[asyncio.Task[None]]) -> bool:
        """Let end what has begun; a wake may begin a hand-over until it has ended."""
        ends = time.monotonic() + DRAIN_SECONDS
        begun = [*beats, *self._wakes.begun, *self._prefect_runs.begun]
        _, running = await asyncio.wait(begun, timeout=DRAIN_SECONDS)
        if sending := self._hand_overs.begun:
            _, unsent = await asyncio.wait(sending, timeout=max(0.0, ends - time.monotonic()))
            running |= unsent
        return not running
