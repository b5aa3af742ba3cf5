"""Shows each subject's new wait in Prefect after a door has recorded events, in a thread of its own.

It does not insist: the service's repair shows what Prefect was not told.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable

from flows.prefect_api.flow_runs import Deployment, FlowRuns, PrefectRefused, PrefectSilent
from flows.study.recording import show_one
from flows.study.runtime import Runtime
from tasks.advance import Advanced
from tasks.database.prefect_notes import remember_flow_runs
from tasks.database.store import NO_ANSWER, first_line

# Prefect takes tens of milliseconds to show a wait: it is told when the doors have been quiet for a moment,
# so that a burst of events is recorded first. Where events keep coming the first waits no longer than a
# second, and the others follow at a pace that the doors do not feel.
QUIET_SECONDS = 0.2
LONGEST_SECONDS = 1.0
BUSY_PACE_SECONDS = 0.5
SHOW_SECONDS = 3.0
# A Prefect that does not answer in time may only be busy. One that stays silent is the repair's to fill.
AGAIN_SECONDS = 5.0
TRIES = 3
# Runs that are made one after the other are noted in the study together: each transaction keeps Prefect idle.
NOTED_TOGETHER = 20

log = logging.getLogger(__name__)


class _Runs(FlowRuns):
    """Requests about flow runs that ask for the journeys' deployment once, and not for each subject."""

    kept: Deployment | None = None

    def deployment(self, flow: str) -> Deployment | None:
        """The deployment of a flow; there is one flow here."""
        self.kept = self.kept or super().deployment(flow)
        return self.kept


class Showing:
    """Shows each subject's newest wait on its flow run, soon after it was recorded."""

    def __init__(self, study: Runtime) -> None:
        self._study = study
        # Each subject's newest wait, and since when it has not been shown; the oldest comes first.
        self._waits: dict[str, tuple[float, Advanced]] = {}
        self._changed = threading.Condition()
        # The instants (of the monotonic clock) of the last event and of the last request, and the earliest
        # one of the next request.
        self._added = self._asked = self._again = float("-inf")
        self._silent = 0
        self._closed = False
        # The flow runs that were made and are not noted yet, by subject; only the thread knows them.
        self._made: dict[str, str] = {}
        self._thread = threading.Thread(target=self._show_all, name="show", daemon=True)
        self._thread.start()

    def add(self, moved: Iterable[Advanced]) -> None:
        """Show these waits soon."""
        with self._changed:
            self._added = time.monotonic()
            for subject in moved:
                since, _ = self._waits.get(subject.code, (time.monotonic(), subject))
                self._waits[subject.code] = since, subject
            self._changed.notify()

    def close(self) -> None:
        """Show nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def join(self) -> None:
        """Wait until the wait that is being shown is shown, for 4 s at most."""
        self._thread.join(SHOW_SECONDS + 1)

    def _show_all(self) -> None:
        runs = _Runs(self._study.prefect_api, SHOW_SECONDS)
        while (subject := self._next()) is not None:
            try:
                show_one(self._study, runs, subject, self._remember)
                self._silent = 0
            except PrefectSilent as reason:
                self._try_again(subject, reason)
            except PrefectRefused as reason:
                # The deployment may be another one since Prefect was emptied.
                runs.kept = None
                log.warning(
                    "The new wait of %s could not be shown; the repair will: %s", subject.code, reason
                )
            except Exception:
                log.exception("The new wait of %s could not be shown; the repair will.", subject.code)
            if len(self._made) >= NOTED_TOGETHER or not self._is_due():
                self._note_made()
        runs.close()

    def _remember(self, _study: Runtime, code: str, run: str) -> None:
        self._made[code] = run

    def _note_made(self) -> None:
        """Note which flow runs were made. A run that is not noted is found by its key, and by the repair."""
        made, self._made = self._made, {}
        if not made:
            return
        try:
            remember_flow_runs(self._study.store, made)
        except NO_ANSWER as reason:
            log.warning("The flow runs of %d subjects are noted later: %s", len(made), first_line(reason))
        except Exception:
            log.exception("The flow runs of %d subjects could not be noted; the repair will.", len(made))

    def _is_due(self) -> bool:
        with self._changed:
            return bool(self._waits) and not self._closed and self._begins() <= time.monotonic()

    def _next(self) -> Advanced | None:
        """Wait for the subject whose wait has not been shown for longest; None when nothing more is shown."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waits)
            while not self._closed and (patience := self._begins() - time.monotonic()) > 0:
                self._changed.wait(patience)
            self._asked = time.monotonic()
            return None if self._closed else self._waits.pop(next(iter(self._waits)))[1]

    def _begins(self) -> float:
        """The instant at which the next wait is shown, if no event comes until then."""
        since, _ = next(iter(self._waits.values()))
        while_busy = max(since + LONGEST_SECONDS, self._asked + BUSY_PACE_SECONDS)
        return max(min(self._added + QUIET_SECONDS, while_busy), self._again)

    def _try_again(self, subject: Advanced, reason: PrefectSilent) -> None:
        with self._changed:
            self._silent += 1
            self._again = time.monotonic() + AGAIN_SECONDS
            # A newer wait of the same subject stays.
            self._waits.setdefault(subject.code, (time.monotonic(), subject))
            if self._silent < TRIES:
                return
            self._silent = 0
            self._waits.clear()
        log.info("Prefect's UI shows the new waits later: %s", reason)
