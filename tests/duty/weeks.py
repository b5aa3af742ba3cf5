"""Weeks of one site: rotas, holidays, sickness, deputies, providers that fail, and what became of notices."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from itp_events.duty.changes import read_change
from itp_events.protocol.file import load_protocol
from tasks.database import duty
from tasks.database.schema import accounts, attempts, deliveries, notices
from tasks.database.store import Store
from tasks.delivery.channels import Channels, Recipient
from tasks.delivery.claiming import DeliveryContext, claim
from tasks.delivery.claims import Clocks
from tasks.delivery.deliver import record_outcome, waiting
from tasks.delivery.sending import Outcome
from tests.duty.reference import Book

PEOPLE = ("ann", "bob", "cai", "dan", "eva")
FIRST = date(2026, 1, 5)
WEEKS_A_STUDY = 20
DAYS = 7
# Hours (UTC) of the site's day at which the service hands over; the site is eight hours ahead.
LOOKS = (1, 4, 9)
_KINDS = {"trouble": "notices", "duty-gap": "alarms of gaps", "channel-dead": "alarms of channels"}


@dataclass
class Figures:
    """What was counted; `problems` is empty when everything held."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def template(folder: Path) -> Path:
    """An empty study, of which each simulated one is a copy."""
    path = folder / "template.sqlite"
    Store.open(f"sqlite:///{path}").close()
    return path


def run(weeks: int, seed: int, folder: Path, template_path: Path) -> Figures:
    """Simulate so many weeks, `WEEKS_A_STUDY` of them at each site."""
    figures = Figures()
    for number, done in enumerate(range(0, weeks, WEEKS_A_STUDY)):
        path = folder / f"study-{number}.sqlite"
        shutil.copy(template_path, path)
        site = _Site(Store.open(f"sqlite:///{path}"), random.Random(f"{seed}/{number}"), figures)
        site.live(min(WEEKS_A_STUDY, weeks - done), f"seed {seed}, site {number}")
        site.store.close()
        for left in folder.glob(f"{path.name}*"):
            left.unlink()
    return figures


class _Site:
    def __init__(self, store: Store, draw: random.Random, figures: Figures) -> None:
        self.store, self.draw, self.figures, self.book = store, draw, figures, Book()
        tags = (*PEOPLE, "investigator", "sponsor", "ops", "coordinator", "always")
        channels = Channels([Recipient(tag, tag, frozenset({tag})) for tag in tags])
        self.context = DeliveryContext(store, load_protocol(), channels)
        self.sent: dict[tuple[str, str], int] = {}
        self.holidays: dict[int, tuple[str, ...]] = {}

    def live(self, weeks: int, name: str) -> None:
        """Pass the weeks, look each day, and judge what each notice became."""
        self._accounts()
        for week in range(weeks):
            self._plan(week)
            for day in range(week * DAYS, (week + 1) * DAYS):
                self._live_day(day, f"{name}, day {day}")
            self.figures.counts["weeks"] += 1
        self._drain(weeks * DAYS, name)
        self._judge(name)

    def _plan(self, week: int) -> None:
        """A rota from this week on, holidays as exceptions, and absences."""
        draw, monday = self.draw, week * DAYS
        if week == 0 or draw.random() < 0.2:
            crew = tuple(draw.sample(PEOPLE, draw.choice((1, 1, 2))))
            self._state("rota", _of(days=[1, 2, 3, 4, 5], people=crew, first=_day(monday)))
            weekend = tuple(draw.sample(PEOPLE, draw.choice((0, 1))))
            self._state("rota", _of(days=[6, 7], people=weekend, first=_day(monday)))
            for day in range(monday, monday + 30 * DAYS):
                self.book.planned[day] = crew if day % DAYS < 5 else weekend
        if draw.random() < 0.15:
            first = monday + draw.randrange(DAYS)
            last = first + draw.randrange(4)
            crew = tuple(draw.sample(PEOPLE, draw.choice((0, 1, 2))))
            self._state("exception", _of(people=crew, first=_day(first), last=_day(last)))
            self.holidays |= dict.fromkeys(range(first, last + 1), crew)
        # A later rota ends no exception, and a later exception ends another for its own days alone.
        self.book.planned.update(self.holidays)
        for person in PEOPLE:
            if draw.random() < 0.15 and not self.book.is_away(person, monday):
                self._leave(person, monday + draw.randrange(DAYS), draw.randrange(1, 10))

    def _leave(self, person: str, first: int, length: int) -> None:
        days = range(first, first + length)
        if any((person, day) in self.book.away for day in days):
            return
        deputy = self.draw.choice([None, *(each for each in PEOPLE if each != person)])
        said = {"person": person, "first": _day(first), "last": _day(first + length - 1)}
        self._state("absent", said | ({"deputy": deputy} if deputy else {}))
        self.book.away.update({(person, day): deputy for day in days})
        self.figures.counts["absences"] += 1

    def _live_day(self, day: int, name: str) -> None:
        for number in range(self.draw.choice((0, 1, 1, 2))):
            self._queue(day, number)
        for hour in LOOKS:
            self._change_of_mind(day)
            self._look(day, _at(day, hour), name)

    def _change_of_mind(self, day: int) -> None:
        """In the middle of a day somebody falls ill, comes back early, or leaves for good."""
        chance, person = self.draw.random(), self.draw.choice(PEOPLE)
        if chance < 0.02 and not self.book.is_away(person, day):
            self._leave(person, day, self.draw.randrange(1, 4))
        elif chance < 0.03 and (person, day) in self.book.away and (person, day - 1) in self.book.away:
            self._state("back", {"person": person, "on": _day(day)})
            following = day
            while (person, following) in self.book.away:
                del self.book.away[person, following]
                following += 1
        elif chance < 0.031 and len(self.book.gone) < 2 and person not in self.book.gone:
            self.book.gone.add(person)
            with self.store.writing() as connection:
                connection.execute(accounts.update().where(accounts.c.code == person).values(active=False))

    def _look(self, day: int, now: datetime, name: str) -> None:
        """One hand-over: what is claimed is judged at once by the book, and sent or not."""
        on_duty = self.book.answering(day)
        if not waiting(self.store, now, now):
            return
        for taken in claim(self.context, None, Clocks(now, now)):
            tag = taken.recipient.id
            if tag in PEOPLE:
                self.figures.counts["sends to people"] += 1
                if self.book.is_away(tag, day):
                    self.figures.problems.append(f"{name}: {taken.notice} was sent to {tag}, who was away")
                if tag not in on_duty:
                    self.figures.problems.append(f"{name}: {taken.notice} was sent to {tag}, not on duty")
            elif tag != "always" and on_duty and taken.notice.startswith("simulated/"):
                self.figures.problems.append(f"{name}: {taken.notice} went to {tag} past {sorted(on_duty)}")
            works = self.draw.random() < 0.8
            if works:
                self.sent[taken.notice, tag] = self.sent.get((taken.notice, tag), 0) + 1
                self.figures.counts["messages delivered"] += 1
            outcome = Outcome("sent", None) if works else Outcome("failed", "refused")
            record_outcome(self.context, taken, outcome)

    def _drain(self, day: int, name: str) -> None:
        """Let a last week pass in which providers are tried until nothing is left."""
        for later in range(day, day + DAYS):
            for hour in LOOKS:
                self._look(later, _at(later, hour), name)

    def _judge(self, name: str) -> None:
        counts, problems = self.figures.counts, self.figures.problems
        for (notice, tag), times in self.sent.items():
            if times > 1:
                problems.append(f"{name}: {notice} reached {tag} {times} times")
        with self.store.reading() as connection:
            for row in connection.execute(sa.select(notices.c.key, notices.c.step)):
                told = {tag for key, tag in self.sent if key == row.key and tag != "always"}
                # An alarm about the channel of `ops` itself goes to whoever gets everything.
                if not told and row.step != "channel-dead":
                    problems.append(f"{name}: {row.key} reached nobody")
                counts[_KINDS.get(row.step, row.step)] += 1
                counts["notices to the next rung"] += "investigator" in told
            gone = sa.select(deliveries.c.id).where(deliveries.c.status == "gone")
            counts["given up for somebody else"] += len(connection.execute(gone).all())
            counts["attempts"] += len(connection.execute(sa.select(attempts.c.delivery)).all())

    def _queue(self, day: int, number: int) -> None:
        now = _at(day, self.draw.choice((0, 3, 8)))
        row = {
            "key": f"simulated/{day}/{number}",
            "kind": "alert",
            "step": "trouble",
            "audience": "coordinator",
            "due": now,
            "facts": {"site": "01"},
            "queued_at": now,
            "status": "queued",
        }
        with self.store.writing() as connection:
            connection.execute(notices.insert(), row)

    def _accounts(self) -> None:
        rows = [
            {
                "code": code,
                "name": code,
                "role": "recorder",
                "language": "en",
                "speaks_for_others": False,
                "active": True,
                "sites": None,
                "created_at": _at(0, 0),
            }
            for code in PEOPLE
        ]
        with self.store.writing() as connection:
            connection.execute(accounts.insert(), rows)

    def _state(self, what: str, said: dict[str, Any]) -> None:
        named = {*said.get("people", ()), said.get("deputy"), said.get("person")}
        with self.store.writing() as connection:
            # Who has left may still stand in an old rota: the door refuses them in a new one.
            for person in named & self.book.gone:
                connection.execute(accounts.update().where(accounts.c.code == person).values(active=True))
        duty.state(self.store, read_change({"what": what, **said}), _at(0, 0), actor=None, door="test")
        with self.store.writing() as connection:
            for person in named & self.book.gone:
                connection.execute(accounts.update().where(accounts.c.code == person).values(active=False))
        self.figures.counts["changes of duty"] += 1


def _of(**said: Any) -> dict[str, Any]:
    return {"audience": "coordinator", "site": "01", **said}


def _day(number: int) -> str:
    return (FIRST + timedelta(days=number)).isoformat()


def _at(day: int, hour: int) -> datetime:
    """An instant (UTC) on a day of the site, whose midnight is at 16:00 UTC of the day before."""
    return datetime(FIRST.year, FIRST.month, FIRST.day, hour, tzinfo=UTC) + timedelta(days=day)
