"""The gate before REDCap: it keeps requests within a rate, and stops them while REDCap refuses.

All processes of a study share one gate.

REDCap bans an address for good that asks too often, and counts what everybody behind that address asks. So
no more requests leave in any minute than the setting says, whatever process sends them, and of these the
background takes half at most: a form that was saved just now does not wait for what is caught up. After a
refusal (401, 403, 429, a ban) nothing is asked for a minute, then one request tries; each further refusal
doubles the rest, up to half an hour.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol as Interface
from typing import TypeVar

from deployments.api.redcap.trouble import RedcapRefuses, RedcapWaits
from tasks.backoff import Waits
from tasks.database.redcap import Book, read_book, with_book
from tasks.database.store import Store

Result = TypeVar("Result")

# A request may be on its way for so long.
REQUEST_SECONDS = 20.0
# A place is free again after a minute and the longest way: so the requests of any minute are within the rate
# whether they leave at once or late.
WINDOW = timedelta(seconds=60 + REQUEST_SECONDS)
REST = Waits(timedelta(minutes=1), timedelta(minutes=30))
# The one request that tries after a rest keeps the others waiting for so long.
_PROBE = timedelta(seconds=REQUEST_SECONDS + 10)


@dataclass(frozen=True)
class Place:
    """The right to send one request. `tries` names the rests after which it is the first."""

    about: str
    tries: tuple[str, ...] = ()


class Gate(Interface):
    """Lets requests through, and is told of their answers."""

    def enter(self, about: str, *, background: bool) -> Place:
        """Take a place for one request; raises RedcapWaits while none is free, or REDCap has its rest."""

    def answered(self, place: Place) -> None:
        """Note that REDCap answered."""

    def unanswered(self, place: Place) -> None:
        """Note that it did not answer, or not with anything that can be used."""

    def refused(self, place: Place, error: RedcapRefuses) -> None:
        """Note that it refused."""


class OpenGate:
    """Lets everything through, where no study keeps count."""

    def enter(self, about: str, *, background: bool) -> Place:
        """A place at once."""
        return Place(about)

    def answered(self, place: Place) -> None:
        """Nothing is kept."""

    def unanswered(self, place: Place) -> None:
        """Nothing is kept."""

    def refused(self, place: Place, error: RedcapRefuses) -> None:
        """Nothing is kept."""


@dataclass(frozen=True)
class StudyGate:
    """The gate of a study: its count and its rests are in the study's database.

    `wall` tells the world's time (UTC). `most` is the number of requests a minute.
    """

    store: Store
    wall: Callable[[], datetime]
    url: str
    token: str
    most: int

    @property
    def address(self) -> str:
        """The name of this REDCap's book."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]

    def enter(self, about: str, *, background: bool) -> Place:
        """Take a place.

        Raises:
            RedcapWaits: REDCap has its rest, or as many requests have left as its rate permits.
        """
        now, keys = self.wall(), self._keys(about)
        most = max(1, self.most // 2) if background else self.most
        return self._change(lambda book: _enter(book, about, keys, now, most))

    def answered(self, place: Place) -> None:
        """End the rests after which this request was the first."""
        if place.tries:
            self._change(lambda book: _end_rests(book, place.tries))

    def unanswered(self, place: Place) -> None:
        """Rest as long again, if this request was the first after a rest."""
        if place.tries:
            now = self.wall()
            self._change(lambda book: _rest_again(book, place.tries, now))

    def refused(self, place: Place, error: RedcapRefuses) -> None:
        """Begin a rest, or a longer one."""
        key, now = self._refused_key(place, error), self.wall()
        self._change(lambda book: _refused(book, key, place, error, now))

    def lift(self) -> None:
        """End the present rests, for a person who asks now. A refusal makes the next one longer."""
        self._change(_lift)

    def why_resting(self) -> str:
        """The reason why REDCap is not asked at present; empty when it is."""
        rests = _rests(read_book(self.store, self.address))
        return next((rests[key]["why"] for key in self._keys("log") if key in rests), "")

    def _keys(self, about: str) -> tuple[str, ...]:
        """The rests that hold back a request: of the address, the token, and for the log its own.

        A user without the right to read the log is refused there alone.
        """
        token = hashlib.sha256(self.token.encode()).hexdigest()[:16]
        return ("address", f"token {token}", *((f"log {token}",) if about == "log" else ()))

    def _refused_key(self, place: Place, error: RedcapRefuses) -> str:
        return "address" if error.of_address else self._keys(place.about)[-1]

    def _change(self, step: Callable[[Book], Result]) -> Result:
        return with_book(self.store, self.address, step)


def _rests(book: Book) -> dict[str, dict[str, str]]:
    return book.setdefault("rests", {})  # type: ignore[no-any-return]


def _enter(book: Book, about: str, keys: tuple[str, ...], now: datetime, most: int) -> Place:
    rests = _rests(book)
    tries = tuple(key for key in keys if key in rests)
    for key in tries:
        until = datetime.fromisoformat(rests[key]["until"])
        if now < until:
            raise RedcapWaits(f"REDCap is not asked before {until:%H:%M:%S} UTC: {rests[key]['why']}", until)
    _take_place(book, now, most)
    for key in tries:
        rests[key]["until"] = (now + _PROBE).isoformat()
    return Place(about, tries)


def _take_place(book: Book, now: datetime, most: int) -> None:
    """Count a request; a time that lies ahead, by another machine's clock, counts as now."""
    kept = (min(datetime.fromisoformat(each), now) for each in book.get("asked", ()))
    asked = sorted(each for each in kept if each > now - WINDOW)
    if len(asked) >= most:
        until = asked[-most] + WINDOW
        said = f"REDCap was asked {len(asked)} times within a minute; it is asked again soon"
        raise RedcapWaits(said, until, is_rate=True)
    book["asked"] = [each.isoformat() for each in (*asked, now)]


def _end_rests(book: Book, keys: tuple[str, ...]) -> None:
    for key in keys:
        _rests(book).pop(key, None)


def _rest_again(book: Book, keys: tuple[str, ...], now: datetime) -> None:
    for key in keys:
        if rest := _rests(book).get(key):
            rest["until"] = (now + REST.after(int(rest["refusals"]))).isoformat()


def _refused(book: Book, key: str, place: Place, error: RedcapRefuses, now: datetime) -> None:
    rests = _rests(book)
    known = rests.get(key)
    # Requests that were under way together are refused together, and count as one.
    if known is not None and key not in place.tries:
        return
    refusals = int(known["refusals"]) + 1 if known else 1
    wait = max(REST.after(refusals), timedelta(seconds=error.seconds))
    rests[key] = {"refusals": f"{refusals}", "until": (now + wait).isoformat(), "why": str(error)}


def _lift(book: Book) -> None:
    for rest in _rests(book).values():
        rest["until"] = "0001-01-01T00:00:00+00:00"
