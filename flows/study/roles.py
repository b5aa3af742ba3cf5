"""Says who may state what: by the account that is signed in, or by what a door knows of its sender.

Only an investigator states decisions and assessments, and takes them back. What an account may is read in the
transaction that records, under a lock: an account that was disabled or changed meanwhile is refused. How a
door finds the account of a request is its own matter (`deployments.api.http.auth`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Protocol as Interface

from itp_events.errors import Forbidden
from itp_events.events import INVESTIGATORS, Enrolled, Event, Voided
from tasks import senders
from tasks.accounts import changing
from tasks.accounts.account import Account
from tasks.accounts.proof import Proof, asking, proven_by
from tasks.database.compiled import Question, Row
from tasks.database.event_log import Origin
from tasks.senders import Signing, Standing
from tasks.signatures.signing import Signer, sign


class Sender(senders.Sender, Interface):
    """A sender of events. `by`: what their `by` is when the sender leaves it out; None: it must be stated."""

    @property
    def by(self) -> str | None:
        """The account's code."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """A sender without an account, as far as the door knows it.

    `decides`: whether it may do what an investigator may. `source`: the only source of events that it speaks
    for; None for any. `said`: the part of a refusal that tells the sender what is known of it. `actor`:
    `os:NAME`, the user of the machine; None: nobody is known. `door`: api, page, cli, prefect-form,
    prefect-event, webhook:NAME or redcap; None: it is not known. `alone`: it counts only while there is no
    account at all.
    """

    decides: bool = False
    source: str | None = None
    said: str = "it is not known who asks"
    actor: str | None = None
    door: str | None = None
    alone: bool = False

    @property
    def by(self) -> None:
        """Nobody is signed in: each event says who states it."""

    @property
    def signing(self) -> None:
        """Nobody is signed in, so nobody signs."""

    @property
    def origin(self) -> Origin:
        """The machine's user and the door."""
        return Origin(self.actor, self.door)

    def asks(self, *, lock: bool) -> Sequence[Question]:
        """With `alone`, the question whether there is any account."""
        return [changing.ANY] if self.alone else []

    def standing(self, found: Sequence[Sequence[Row]]) -> Standing:
        """The speaker itself; with `alone` nothing from the first account on."""
        return NOT_SIGNED_IN if any(found) else self

    def barred(self, event: Event, target: Event | None, site: str | None) -> Forbidden | None:
        """The reason why the speaker may not state an event; None when it may.

        `target` is the event it voids; `site` is the subject's.
        """
        return self._foreign(event, target) or (None if self.decides else _reserved(event, target, self.said))

    def _foreign(self, event: Event, target: Event | None) -> Forbidden | None:
        if self.source is None:
            return None
        if event.source != self.source:
            return Forbidden("source", f"this sender states events of the source {self.source!r} only")
        if target is not None and target.source != self.source:
            return Forbidden("source", f"this sender takes back events of the source {self.source!r} only")
        return None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A sender that is signed in: its account as the request found it, and the proof, which is read again.

    `at`: the instant (UTC, the machine's) of the request. `signs`: the password was just given again for it.
    """

    account: Account
    proof: Proof
    door: str
    at: datetime = field(compare=False)
    signs: bool = False

    @property
    def by(self) -> str:
        """The account's code."""
        return self.account.code

    @property
    def origin(self) -> Origin:
        """The account and the door."""
        return Origin(self.account.code, self.door)

    @property
    def signing(self) -> Signing | None:
        """Signs in the name of the account, in its language."""
        return _signing(self.account) if self.signs else None

    def asks(self, *, lock: bool) -> Sequence[Question]:
        """The question for the account of the proof by now."""
        return [asking(self.proof, self.at, lock=lock)]

    def standing(self, found: Sequence[Sequence[Row]]) -> Standing:
        """The rights of the account by now."""
        proven = proven_by(found[0])
        is_same = proven is not None and proven.account.code == self.account.code
        return InRole(proven.account) if proven and is_same else NOT_SIGNED_IN


@dataclass(frozen=True, slots=True)
class SigningAtTheMachine:
    """An account whose password was just given to a command: what it states is signed with it."""

    account: Account

    @property
    def by(self) -> str:
        """The account that states."""
        return self.account.code

    @property
    def origin(self) -> Origin:
        """The account, and the command line."""
        return Origin(self.account.code, "cli")

    @property
    def signing(self) -> Signing:
        """Signs in the name of the account."""
        return _signing(self.account)

    def asks(self, *, lock: bool) -> Sequence[Question]:
        """The question for the account by now."""
        return [changing.finding(self.account.code, lock=lock)]

    def standing(self, found: Sequence[Sequence[Row]]) -> Standing:
        """The rights of the account by now."""
        account = changing.found_in(found[0])
        return InRole(account) if account and account.active else NOT_SIGNED_IN


def _signing(account: Account) -> Signing:
    return partial(sign, Signer(account.code, account.name, account.language))


@dataclass(frozen=True, slots=True)
class InRole:
    """The rights of an account over events."""

    account: Account

    def barred(self, event: Event, target: Event | None, site: str | None) -> Forbidden | None:
        """The reason why the account may not state an event; None when it may."""
        return (
            self._silent() or self._elsewhere(event, site) or self._reserved(event, target) or self._by(event)
        )

    def barred_from_signing(self, event: Event, target: Event | None, site: str) -> Forbidden | None:
        """The reason why the account may not sign what somebody else may have stated; None when it may."""
        return self._silent() or self._elsewhere(event, site) or self._reserved(event, target)

    def _silent(self) -> Forbidden | None:
        if self.account.may("state"):
            return None
        return Forbidden("role", f"an account of the role {self.account.role} records nothing")

    def _elsewhere(self, event: Event, site: str | None) -> Forbidden | None:
        stated = event.data.site if isinstance(event.data, Enrolled) else None
        foreign = [each for each in (site, stated) if each is not None and not self.account.sees(each)]
        if not foreign:
            return None
        return Forbidden("site", f"{event.subject} is of a site that is not one of yours")

    def _reserved(self, event: Event, target: Event | None) -> Forbidden | None:
        if self.account.may("decide"):
            return None
        return _reserved(event, target, f"this request has the role {self.account.role}")

    def _by(self, event: Event) -> Forbidden | None:
        code = self.account.code
        if event.data.by == code or self.account.speaks_for_others:
            return None
        said = f"you are signed in as {code}, and cannot state what {event.data.by!r} says: leave by out"
        return Forbidden("by", said)


@dataclass(frozen=True, slots=True)
class NotSignedIn:
    """The standing of a sender whose token, session or account counts no more."""

    def barred(self, event: Event, target: Event | None, site: str | None) -> Forbidden:
        """The refusal of any event."""
        return Forbidden("account", "your account, token or session counts no more: sign in again")


NOT_SIGNED_IN = NotSignedIn()


def _reserved(event: Event, target: Event | None, said: str) -> Forbidden | None:
    if isinstance(event.data, INVESTIGATORS):
        return Forbidden("role", f"only an investigator may state {event.type}; {said}")
    if isinstance(event.data, Voided) and target is not None and isinstance(target.data, INVESTIGATORS):
        return Forbidden("role", f"only an investigator may take that back; {said}")
    return None


# The sender at a door that knows nothing of it.
UNKNOWN = Speaker()
