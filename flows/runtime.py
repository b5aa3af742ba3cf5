"""What every flow works with: the study's store, its protocol, the channels to people, and the clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol as Interface

from flows.refusals import Refusals
from itp_events.events import Event
from itp_events.protocol import Protocol
from tasks import advance as advancing
from tasks import notify
from tasks.advance import Advanced, Answer, Settled
from tasks.notify import Channels, Moment, Office
from tasks.store import Store


class Clock(Interface):
    """Tells the study's time, which in a demonstration runs faster than the world's."""

    def now(self) -> datetime:
        """The study's present instant, UTC."""

    def wall(self, instant: datetime) -> datetime:
        """When the world's clock shows the study's `instant`, UTC."""

    def ahead(self, seconds: float) -> datetime:
        """The study's instant in so many real seconds."""

    def seconds_until(self, instant: datetime) -> float:
        """Real seconds until the study's `instant`; negative when it has passed."""


@dataclass(frozen=True)
class Runtime:
    """The parts of one running study, opened once per process."""

    store: Store
    protocol: Protocol
    channels: Channels
    clock: Clock
    prefect_api: str
    refusals: Refusals = field(default_factory=Refusals, kw_only=True, compare=False)

    def advance(self, code: str, now: datetime) -> Advanced:
        """Decide what is due for a subject at `now`, and keep it."""
        return advancing.advance(self.store, self.protocol, code, now)

    def record(self, events: Sequence[Event], now: datetime) -> list[Answer]:
        """Let events in, each accepted or refused by itself."""
        answers = advancing.record(self.store, self.protocol, events, now)
        self.refusals.note(answers)
        return answers

    def waiting(self) -> list[str | None]:
        """The subjects with something to hand over now; None stands for the service's own notices."""
        now = self.clock.now()
        return notify.waiting(self.store, now, self.clock.wall(now))

    def hand_over(self, code: str | None, known: Settled | None = None) -> None:
        """Hand over what is due now, of one subject; None stands for the service's own notices.

        `known` is what has just been decided about the subject in this process, if anything was.
        """
        now = self.clock.now()
        office = Office(self.store, self.protocol, self.channels)
        notify.hand_over_one(office, code, Moment(now, self.clock.wall(now)), known)


_open: Callable[[], Runtime] | None = None
_current: Runtime | None = None


def use(opener: Callable[[], Runtime]) -> None:
    """Say how this process opens its study; it is opened when a flow first asks."""
    global _open, _current
    _open, _current = opener, None


def current() -> Runtime:
    """This process's study."""
    global _current
    if _current is None:
        assert _open is not None, "deployments.entry says how the study is opened"
        _current = _open()
    return _current
