"""Brings to a run what was posted to Prefect and has none.

Prefect answers for an event and makes its run a moment later, from memory. A server that is killed in that
moment, that cannot make the run for some minutes, or whose automation was changed makes none, and tells
nobody. But it keeps the event for days. One that stands neither in the study's log nor in a run is missing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from flows.prefect_api.flow_runs import Deployment, FlowRuns, PrefectRefused, scheduled
from flows.prefect_api.posted import PostedEvent, comparable, parameters_since, stored_events
from flows.study.runtime import Runtime
from itp_events.errors import ItpError
from itp_events.events import FACT_TYPES, parse_event
from tasks.database.queries import recorded
from tasks.database.repairs import note_repair

# Prefect makes a run within a second. One that comes later too does no harm: an event counts once.
GRACE_SECONDS = 10
# How often all stored events are read, in case that a sender's clock hides a new one among the old ones.
WHOLE_SECONDS = 3600
# A run that Prefect refused is asked for again after so long.
AGAIN_SECONDS = 300
# Servers of one Prefect may have clocks that differ: a run may look older than its event.
APART = timedelta(minutes=5)

log = logging.getLogger(__name__)


@dataclass
class PostedEvents:
    """Looks for stored events without a run; `monotonic` tells seconds."""

    study: Runtime
    monotonic: Callable[[], float] = time.monotonic
    # Ids of events that need nothing, and those that may, with the second from which each has waited in vain.
    _settled: set[str] = field(default_factory=set)
    _open: dict[str, tuple[float, PostedEvent]] = field(default_factory=dict)
    # Ids of those for which Prefect has refused a run, which is said once.
    _refused: set[str] = field(default_factory=set)
    _read_whole: float | None = None

    def bring(self, runs: FlowRuns, recording: Deployment) -> None:
        """Start a run of `recording` for each event that has waited for one in vain.

        Raises:
            PrefectProblem: Prefect does not answer; what was not started is tried again.
            OperationalError: the database does not answer; likewise.
        """
        self._read(runs)
        self._settle(each.id for _, each in list(self._open.values()) if self._is_recorded(each))
        due = [each for from_, each in self._open.values() if self.monotonic() >= from_]
        if not due:
            return
        known = self._known(runs, recording, due)
        for each in due:
            if comparable(each.payload) in known:
                self._settle([each.id])
            else:
                self._start(runs, recording, each)

    def _read(self, runs: FlowRuns) -> None:
        """Take note of the events that were not seen before."""
        now = self.monotonic()
        whole = self._read_whole is None or now - self._read_whole >= WHOLE_SECONDS
        found: set[str] = set()
        for page in stored_events(runs, FACT_TYPES):
            found |= {each.id for each in page}
            new = [each for each in page if each.id not in self._settled and each.id not in self._open]
            self._open |= {each.id: (now + GRACE_SECONDS, each) for each in new}
            if not (new or whole):
                return
        # All were read: what Prefect has thrown away is forgotten here too.
        self._settled &= found
        self._read_whole = now

    def _settle(self, ids: Iterable[str]) -> None:
        for each in ids:
            self._settled.add(each)
            del self._open[each]
            self._refused.discard(each)

    def _is_recorded(self, posted: PostedEvent) -> bool:
        try:
            stated = parse_event(posted.payload)
            return recorded(self.study.store, stated.key) == stated
        except ItpError:
            # Its run says why it is refused; or what was recorded is damaged, and its run says so.
            return False

    def _known(
        self, runs: FlowRuns, recording: Deployment, posted: Collection[PostedEvent]
    ) -> frozenset[str]:
        """The payloads in the runs that may have been made of these events, each as a text."""
        since = min(each.received for each in posted) - APART
        return frozenset(comparable(each.get("event")) for each in parameters_since(runs, recording, since))

    def _start(self, runs: FlowRuns, recording: Deployment, posted: PostedEvent) -> None:
        parameters, state = {"event": posted.payload}, scheduled(self.study.wall())
        try:
            runs.create_named(recording, f"posted {posted.id}", parameters, state)
        except PrefectRefused as reason:
            # Its deployment may be put back in a moment. What is too long for a run will be refused again.
            if posted.id not in self._refused:
                log.error("No run can be made of the event %s posted to Prefect: %s", posted.id, reason)
                self._say("no run can be made of a posted event: post it to the service's own API")
            self._refused.add(posted.id)
            self._open[posted.id] = (self.monotonic() + AGAIN_SECONDS, posted)
        else:
            log.warning("No run had been made of the event %s posted to Prefect; made now.", posted.id)
            self._say("no run had been made of a posted event; made now")
            self._settle([posted.id])

    def _say(self, what: str) -> None:
        note_repair(self.study.store, f"in Prefect {what}", self.study.clock.now())
