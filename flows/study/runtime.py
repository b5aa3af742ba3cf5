"""The running study: its store, its protocol, the channels to people, and the clock.

How it is opened is said by `deployments.bootstrap.study`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol as Interface

from flows.study.refusals import Refusals
from flows.study.roles import UNKNOWN, Sender
from itp_events.events import Event
from itp_events.protocol.model import Protocol
from tasks import advance as advancing
from tasks.advance import Advanced, Answer
from tasks.database.instance import Instance
from tasks.database.store import Store
from tasks.delivery import deliver
from tasks.delivery.channels import Channels
from tasks.delivery.claiming import ClaimAtOnce, DeliveryContext
from tasks.delivery.claims import Claim, Clocks
from tasks.spans import span


class Clock(Interface):
    """Tells the study's time, which in a demonstration runs faster than the world's."""

    def now(self) -> datetime:
        """The study's present instant, UTC."""

    def wall(self, instant: datetime) -> datetime:
        """The instant (UTC) of the world's clock when the study's clock shows `instant`."""

    def shows_at(self, world: datetime) -> datetime:
        """The instant (UTC) of the study's clock at the world's instant."""

    def ahead(self, seconds: float) -> datetime:
        """The study's instant (UTC) after so many real seconds."""

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
    instance: Instance = field(default_factory=Instance, kw_only=True, compare=False)
    # Names the machine and the data directory, for people.
    place: str = field(default="here", kw_only=True)

    def advance(self, code: str, now: datetime, at_once: ClaimAtOnce | None = None) -> Advanced:
        """Decide what is due for a subject at `now`, and keep it; raises what `tasks.advance.advance`
        raises.

        `at_once` as in `record`.
        """
        with span("transaction", code):
            return advancing.advance(self.store, self.protocol, code, now, self.clock.now, at_once)

    def record(
        self,
        events: Sequence[Event],
        now: datetime,
        *,
        sender: Sender = UNKNOWN,
        at_once: ClaimAtOnce | None = None,
    ) -> list[Answer]:
        """Record the events that `sender` may state; each is accepted or refused by itself.

        `at_once` (of `claiming`) claims the notices that they make due in the same transaction, where it can.
        Pass its claims to `hand_over` within moments.
        """
        about = events[0].subject if len({event.subject for event in events}) == 1 else None
        with span("transaction", about) as transaction:
            answers = advancing.record(
                self.store, self.protocol, events, now, at_once, sender, self.clock.now
            )
            transaction.note(outcome=_outcome(answers))
        self.refusals.note(answers)
        return answers

    def claiming(self, now: datetime) -> ClaimAtOnce:
        """A claimer for `record` and `advance`, of the notices that become due at `now`."""
        return ClaimAtOnce(self._context, Clocks(now, self.clock.wall(now)))

    def waiting(self) -> list[str | None]:
        """The subjects with something to hand over now; None stands for the service's own notices."""
        at = self.clocks()
        return deliver.waiting(self.store, at.now, at.wall, watched=self.instance.watches)

    def clocks(self) -> Clocks:
        """The present instant by the study's clock and by the world's."""
        now = self.clock.now()
        return Clocks(now, self.clock.wall(now))

    def wall(self) -> datetime:
        """The present instant (UTC) of the world's clock."""
        return self.clocks().wall

    def hand_over(self, code: str | None, claims: Sequence[Claim] = ()) -> None:
        """Hand over the notices of one subject that are due now; None stands for the service's own notices.

        With `claims` these are sent, and nothing else is claimed.
        """
        if claims:
            deliver.hand_over_claimed(self._context, code, claims)
        else:
            deliver.hand_over_one(self._context, code, self.clocks())

    @property
    def _context(self) -> DeliveryContext:
        return DeliveryContext(self.store, self.protocol, self.channels, self.instance, self.clock.now)


def _outcome(answers: Sequence[Answer]) -> str:
    """The outcome that all answers share, else `mixed`."""
    kinds = {answer.status for answer in answers}
    return kinds.pop() if len(kinds) == 1 else "mixed"


_open: Callable[[], Runtime] | None = None
_current: Runtime | None = None


def use(opener: Callable[[], Runtime]) -> None:
    """Set how this process opens its study; it is opened when a flow first asks."""
    global _open, _current
    _open, _current = opener, None


def current() -> Runtime:
    """This process's study."""
    global _current
    if _current is None:
        assert _open is not None, "deployments.entry says how the study is opened"
        _current = _open()
    return _current
