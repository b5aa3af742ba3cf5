"""Lists the matters that wait, from the cards: the sections of the page of the day, the most urgent first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from urllib.parse import quote, urlencode

from deployments.api.web.in_words import InWords
from itp_events.marks import marked
from itp_events.protocol.model import Protocol
from tasks.accounts.account import Role
from tasks.board.cards import DEATH, PREGNANCY, Card, VisitLine

# Visits without a date are asked for so long ahead; booked ones are shown for the week.
_BOOK_AHEAD = timedelta(days=14)
_SHOW_AHEAD = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Action:
    """A link to a page on which to do something; `label` is a key of the words."""

    label: str
    to: str


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that waits: the subject, a sentence, notes, and what can be done."""

    subject: str
    said: str
    order: tuple[str, ...]
    actions: tuple[Action, ...] = ()
    notes: tuple[str, ...] = ()
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: `name` is a key of the words without its beginning."""

    name: str
    items: Sequence[Item]


@dataclass(frozen=True, slots=True)
class Day:
    """The instant of the page, the protocol, and the words in which it is said; dates are a card's site's."""

    now: datetime
    protocol: Protocol
    words: InWords
    _dates: dict[str, date] = field(default_factory=dict)

    def today(self, card: Card) -> date:
        """The date at a card's site."""
        site = card["site"]
        if site not in self._dates:
            self._dates[site] = self.protocol.site(site).date_of(self.now)
        return self._dates[site]

    def visit(self, line: VisitLine) -> str:
        """A visit's name with its code."""
        return self.words.visit(self.protocol.by_code.get(line["code"]), line["code"])

    def day(self, line: VisitLine, name: str) -> str:
        """One of a visit's dates, marked when it rests on an assumption."""
        on = line[name]  # type: ignore[literal-required]
        # The window opens and closes by the same assumption.
        return marked(self.words.day(on), ("closes" if name == "opens" else name) in line["assumed"])


def form_path(code: str, form: str, **given: str) -> str:
    """The address of a form about a subject, with values filled in."""
    filled = f"?{urlencode(given)}" if given else ""
    return f"/s/{quote(code)}/{form}{filled}"


def sections(day: Day, cards: Sequence[Card], role: Role) -> list[Section]:
    """The sections that have something to show, in the order in which the role needs them."""
    order = _FOR_INVESTIGATORS if role == "investigator" else _FOR_OTHERS
    made = ((name, sorted(_MAKE[name](day, cards), key=lambda item: item.order)) for name in order)
    return [Section(name, items) for name, items in made if items]


def of_subject(day: Day, card: Card, role: Role) -> list[Item]:
    """The matters that wait with one subject, the most urgent first."""
    return [item for section in sections(day, [card], role) for item in section.items]


def _clocks(day: Day, cards: Sequence[Card]) -> Iterator[Item]:
    for card in cards:
        for each in card["clocks"]:
            late = datetime.fromisoformat(each["deadline"]) <= day.now
            what = _reported(day, each["what"])
            by = marked(day.words.instant(each["deadline"]), each["assumed"])
            to = form_path(card["code"], "submission", ae=each["what"])
            yield Item(
                card["code"],
                day.words.say("today.clock", what=what, by=by),
                (each["deadline"], card["code"]),
                () if each["what"] == DEATH else (Action("form.submission", to),),
                (day.words.say("today.clock-passed"),) if late else (),
                late,
            )


def _reported(day: Day, what: str) -> str:
    say = day.words.say
    return say(f"what.{what}") if what in (DEATH, PREGNANCY) else say("what.ae", ae=what)


def _decisions(day: Day, cards: Sequence[Card]) -> Iterator[Item]:
    say = day.words.say
    for card in cards:
        code = card["code"]
        decide = (Action("subject.decide", form_path(code, "decide")),)
        for flag in card["flags"]:
            criterion = marked(day.words.criterion(flag["criterion"]), flag["assumed"])
            said = say("today.flag", criterion=criterion, since=day.words.day(flag["since"]))
            yield Item(code, said, (flag["since"], code), decide)
        if card["fatal"]:
            said = say("today.fatal", since=day.words.day(card["fatal"]))
            death = (Action("form.death", form_path(code, "death")),)
            yield Item(code, said, (card["fatal"], code), death, urgent=True)
        if card["death"]:
            said = say("today.death", since=day.words.day(card["death"]))
            report = (Action("form.adverse-event", form_path(code, "adverse-event")),)
            yield Item(code, said, (card["death"], code), report, urgent=True)
        if card["disposition"]:
            yield Item(code, say("today.disposition"), (card["visits"][-1]["closes"], code), decide)


def _visits(day: Day, cards: Sequence[Card], *statuses: str) -> Iterator[tuple[Card, VisitLine]]:
    for card in cards:
        for line in card["visits"]:
            if line["status"] in statuses:
                yield card, line


def _overdue(day: Day, cards: Sequence[Card]) -> Iterator[Item]:
    for card, line in _visits(day, cards, "overdue"):
        days = (day.today(card) - date.fromisoformat(line["closes"])).days
        said = day.words.say(
            "today.visit-overdue", visit=day.visit(line), closes=day.day(line, "closes"), days=days
        )
        yield _item(day, card, line, said, line["closes"], ("done", "missed", "acknowledge"), urgent=True)


def _now(day: Day, cards: Sequence[Card]) -> Iterator[Item]:
    for card, line in _visits(day, cards, "open", "upcoming"):
        if line["booked"] and date.fromisoformat(line["day"]) <= day.today(card):
            said = day.words.say("today.visit-booked", visit=day.visit(line), day=day.day(line, "day"))
            yield _item(day, card, line, said, line["day"], ("done", "move", "missed"))


def _open(day: Day, cards: Sequence[Card]) -> Iterator[Item]:
    for card, line in _visits(day, cards, "open"):
        if not line["booked"]:
            said = _window(day, line, "today.visit-target")
            yield _item(day, card, line, said, line["closes"], ("book", "done", "missed"))


def _book(day: Day, cards: Sequence[Card]) -> Iterator[Item]:
    for card, line in _visits(day, cards, "upcoming"):
        asked = line["firm"] and not line["booked"]
        if asked and date.fromisoformat(line["target"]) <= day.today(card) + _BOOK_AHEAD:
            yield _item(day, card, line, _window(day, line, "today.visit-target"), line["target"], ("book",))


def _ahead(day: Day, cards: Sequence[Card]) -> Iterator[Item]:
    for card, line in _visits(day, cards, "open", "upcoming"):
        if not line["booked"]:
            continue
        today, on = day.today(card), date.fromisoformat(line["day"])
        if today < on <= today + _SHOW_AHEAD:
            said = day.words.say("today.visit-booked", visit=day.visit(line), day=day.day(line, "day"))
            yield _item(day, card, line, said, line["day"], ("move", "done"))


def _window(day: Day, line: VisitLine, key: str) -> str:
    dates = {"day": day.day(line, "day"), "opens": day.day(line, "opens"), "closes": day.day(line, "closes")}
    return day.words.say(key, visit=day.visit(line), **dates)


def _item(
    day: Day,
    card: Card,
    line: VisitLine,
    said: str,
    order: str,
    actions: Sequence[str],
    *,
    urgent: bool = False,
) -> Item:
    forms = {"move": "book"}
    made = tuple(
        Action(f"act.{each}", form_path(card["code"], forms.get(each, each), visit=line["code"]))
        for each in actions
    )
    return Item(card["code"], said, (order, card["code"]), made, tuple(_notes(day, line)), urgent)


def _notes(day: Day, line: VisitLine) -> Iterator[str]:
    say = day.words.say
    if line["held"]:
        yield say("today.held")
    if line["answered"]:
        yield say("today.answered", until=day.words.day(line["answered"]))
    if line["rung"]:
        yield say("today.escalated", audience=day.words.audience(line["rung"]))


def _consents(day: Day, cards: Sequence[Card]) -> Iterator[Item]:
    for card in cards:
        for kind in card["consents"]:
            to = form_path(card["code"], "consent-given", kind=kind)
            said = day.words.say(f"today.consent.{kind}")
            yield Item(card["code"], said, (card["code"], kind), (Action("form.consent-given", to),))


def _deviations(day: Day, cards: Sequence[Card]) -> Iterator[Item]:
    for card in cards:
        for each in card["deviations"]:
            since = day.words.day(each["since"])
            category = day.words.category(each["category"])
            said = day.words.say("today.deviation", category=category, visit=each["visit"] or "", since=since)
            to = form_path(card["code"], "assess", deviation=each["id"])
            assess = (Action("deviations.assess", to),)
            yield Item(card["code"], said, (each["since"], card["code"], each["id"]), assess)


def _undelivered(day: Day, cards: Sequence[Card]) -> Iterator[Item]:
    for card in cards:
        for each in card["undelivered"]:
            said = day.words.say(
                "today.undelivered-one",
                step=each["step"],
                audience=day.words.audience(each["audience"]),
                failures=each["failures"],
            )
            yield Item(card["code"], said, (each["since"], card["code"]))


_MAKE: dict[str, Callable[[Day, Sequence[Card]], Iterator[Item]]] = {
    "clocks": _clocks,
    "decisions": _decisions,
    "overdue": _overdue,
    "now": _now,
    "open": _open,
    "book": _book,
    "ahead": _ahead,
    "consents": _consents,
    "deviations": _deviations,
    "undelivered": _undelivered,
}
_FOR_OTHERS = (
    *("clocks", "now", "overdue", "open", "book", "ahead", "consents", "decisions", "deviations"),
    "undelivered",
)
_FOR_INVESTIGATORS = (
    *("clocks", "decisions", "deviations", "overdue", "now", "open", "book", "ahead", "consents"),
    "undelivered",
)
