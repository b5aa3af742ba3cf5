"""The real clock of a study, which does not follow a jump of the machine's clock.

A machine's clock may jump: a dead battery, a wrong time server, a slip of the hand. A study that follows it a
week ahead tells people of deadlines that have not passed, and cannot take it back. So a jump is not followed.
The study's time goes on as before, a trouble stands on the board, and a person decides which clock is right:
by setting the machine's, or with `itp clock --accept`. Corrections by some seconds or minutes are followed.

The second clock is that of the database's server. Where the database is on the same machine, it is the
machine's count of seconds since its start, from an instant that the study keeps: programs that are started
after the jump are not misled either.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from deployments.bootstrap.clock import Clock as MachineClock
from flows.study.runtime import Clock, Runtime
from itp_events.protocol.model import Protocol
from tasks.advance import CLOCKS_DIFFER, advance
from tasks.database.monitoring import beat, last_beat, server_clock, subjects_ahead
from tasks.database.repairs import note_repair
from tasks.database.store import Store
from tasks.database.troubles import OwnTrouble
from tasks.database.unreadable import passing_over
from tasks.delivery import deliveries

CLOCK = "clock"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# The instant of the machine's start is kept anew when it was corrected by more than this.
_EXACT = timedelta(seconds=1)
_HERE = frozenset({None, "", "localhost", "127.0.0.1", "::1"})
_ACCEPT = "itp clock --accept"

log = logging.getLogger(__name__)


class WatchedClock(MachineClock):
    """The real clock; a jump of it is not followed until `believe`."""

    def __init__(self) -> None:
        self._believed: tuple[datetime, float] | None = None

    def shown(self) -> datetime:
        """The instant (UTC) that the machine's clock shows, right or wrong."""
        return super().now()

    def expected(self) -> datetime | None:
        """The instant (UTC) counted on from the last believed one; None before the first."""
        if self._believed is None:
            return None
        instant, counted = self._believed
        return instant + timedelta(seconds=uptime() - counted)

    def believe(self, instant: datetime) -> None:
        """Count on from this instant, which is the present one."""
        self._believed = (instant, uptime())

    def now(self) -> datetime:
        """The study's present instant, UTC."""
        shown, expected = self.shown(), self.expected()
        if expected is not None and not agree(shown, expected):
            return expected
        self.believe(shown)
        return shown

    def seconds_until(self, instant: datetime) -> float:
        """Real seconds until the study's `instant` by the believed time; negative when it has passed."""
        return (instant - self.now()).total_seconds()


def uptime() -> float:
    """Seconds since the machine's start; they count on while it sleeps, and cannot be set."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def agree(one: datetime, other: datetime) -> bool:
    """Whether two clocks differ by no more than clocks usually do."""
    return abs(one - other) <= CLOCKS_DIFFER


@dataclass(frozen=True)
class ClockWatch:
    """Compares a study's clock with a second one, and the study's records with both."""

    store: Store
    clock: Clock

    def look(self) -> str | None:
        """Believe the clock while both agree; a sentence about what a person must mend, or None.

        Raises:
            OperationalError: the database does not answer; then nothing changes.
        """
        wrong = self._judge(self.clock) if isinstance(self.clock, WatchedClock) else None
        return wrong or self._records_ahead()

    def keep(self) -> None:
        """Keep the believed time for programs that start later; called while the clocks agree."""
        part = _boot()
        if part is None or not isinstance(self.clock, WatchedClock):
            return
        started = self.clock.now() - timedelta(seconds=uptime())
        known = last_beat(self.store, part)
        if known is None or abs(known - started) > _EXACT:
            beat(self.store, part, started)

    @property
    def has_server(self) -> bool:
        """Whether the database has a clock of its own: on this machine it has this machine's."""
        host = self.store.engine.url.host
        return self.store.engine.name == "postgresql" and host not in _HERE and not str(host).startswith("/")

    def _judge(self, clock: WatchedClock) -> str | None:
        shown, second = clock.shown(), self._second()
        if second is None or agree(shown, second):
            clock.believe(shown if second else clock.now())
            return None
        if clock.expected() is None:
            # Just started. By the earlier of two machines' clocks no deadline has passed that may not have.
            clock.believe(min(shown, second) if self.has_server else second)
        other = "the database server" if self.has_server else "its count of the seconds since its start"
        return (
            f"the machine's clock shows {_said(shown)}, {other} {_said(second)}; the study goes on by "
            f"{_said(clock.now())}. Set the wrong clock, or say that the machine's is right: {_ACCEPT}"
        )

    def _second(self) -> datetime | None:
        if self.has_server:
            return server_clock(self.store)
        part = _boot()
        started = last_beat(self.store, part) if part else None
        return started + timedelta(seconds=uptime()) if started else None

    def _records_ahead(self) -> str | None:
        now = self.clock.now()
        ahead = subjects_ahead(self.store, now + CLOCKS_DIFFER)
        if not ahead:
            return None
        return (
            f"a clock that was ahead of {_said(now)} decided about {ahead[0]} and {len(ahead) - 1} more: "
            f"they are not woken until then. Set the machine's clock, or say that it is right: {_ACCEPT}"
        )


def accept(store: Store, protocol: Protocol, clock: Clock) -> list[str]:
    """Believe the machine's clock from now on, and decide anew about subjects that were decided ahead of it.

    Returns the codes of those subjects. A sent notice stays sent; a notice that has not left and is not due
    yet is taken back. A notice that waits for a new attempt, by a clock that was ahead, is sent again now.
    """
    if isinstance(clock, WatchedClock):
        clock.believe(clock.shown())
        ClockWatch(store, clock).keep()
    now = clock.now()
    store.write(lambda connection: deliveries.pull_back(connection, clock.wall(now)))
    ahead, unreadable = subjects_ahead(store, now + CLOCKS_DIFFER), dict[str, str]()
    for code in ahead:
        with passing_over(code, unreadable):
            advance(store, protocol, code, now, clock.now)
            said = f"it was decided about by a clock that was ahead; decided anew at {_said(now)}"
            note_repair(store, said, now, code)
            log.warning("%s: %s", code, said)
    return [code for code in ahead if code not in unreadable]


def look_and_say(study: Runtime, trouble: OwnTrouble) -> None:
    """Compare the clocks, and show a difference on the board, in /healthz and in the log until it ends.

    A demonstration's clock is right by definition, also after it was set back.
    """
    watch = ClockWatch(study.store, study.clock)
    wrong = watch.look()
    if wrong and not isinstance(study.clock, WatchedClock):
        accept(study.store, study.protocol, study.clock)
        wrong = None
    if wrong is None:
        watch.keep()
        trouble.settle(study.wall())
    elif trouble.note(wrong, study.clock.now()):
        log.error("The clock: %s", wrong)


def _boot() -> str | None:
    """The name of this start of the machine; None where the system gives none."""
    try:
        return f"boot {_BOOT_ID.read_text(encoding='ascii').strip()}"
    except OSError:
        return None


def _said(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M}Z"
