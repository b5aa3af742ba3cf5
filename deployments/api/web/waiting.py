"""Lists the matters that wait, from the cards: the sections of the page of the day, the most urgent first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial
from urllib.parse import quote, urlencode

from deployments.api.web.in_words import InWords
from itp_events.marks import marked
from itp_events.protocol.model import Protocol
from tasks.accounts.account import Role
from tasks.board.cards import (
    DEATH,
    PREGNANCY,
    Card,
    ConsentLine,
    DeviationLine,
    FlagLine,
    ReportLine,
    UndeliveredLine,
    VisitLine,
)

# Visits without a date are asked for so long ahead; booked ones are shown for the week.
_BOOK_AHEAD = timedelta(days=14)
_SHOW_AHEAD = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Action:
    """A link to a page on which somebody of a role can do something; `label` is a key of the words."""

    label: str
    to: str
    role: Role = "recorder"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that waits: the subject, a sentence, notes, and what can be done."""

    subject: str
    said: str
    actions: tuple[Action, ...] = ()
    notes: tuple[str, ...] = ()
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Matter:
    """One thing that waits, by its order among others; it is put into words when it is to be shown."""

    order: tuple[str, ...]
    item: Callable[[], Item]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: `name` is a key of the words without its beginning."""

    name: str
    matters: Sequence[Matter]

    def items(self, limit: int | None = None) -> list[Item]:
        """The first matters of the section, in words; None: all of them."""
        return [each.item() for each in self.matters[:limit]]


@dataclass(frozen=True, slots=True)
class Day:
    """The instant of the page, the protocol, and the words in which it is said; dates are a card's site's."""

    now: datetime
    protocol: Protocol
    words: InWords
    # How far ahead booked visits are listed; None: all.
    ahead: timedelta | None = _SHOW_AHEAD
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


def act_on(code: str, visit: str, act: str) -> Action:
    """A link to the form that does something about a visit: `book` or `move` it, or state it `done`."""
    return Action(f"act.{act}", form_path(code, "book" if act == "move" else act, visit=visit))


def sections(day: Day, cards: Sequence[Card], role: Role) -> list[Section]:
    """The sections that have something to show, in the order in which the role needs them."""
    order = _FOR_INVESTIGATORS if role == "investigator" else _FOR_OTHERS
    made = ((name, sorted(_MAKE[name](day, cards), key=lambda each: each.order)) for name in order)
    return [Section(name, matters) for name, matters in made if matters]


def of_subject(day: Day, card: Card, role: Role) -> list[Item]:
    """The matters that wait with one subject, the most urgent first."""
    day = replace(day, ahead=None)
    return [item for section in sections(day, [card], role) for item in section.items()]


def dates_of(day: Day, card: Card, visit: str) -> str | None:
    """A visit's booked day, or its target day and window, in words; None once it waits no more."""
    for _, line in _visits(day, [card], "upcoming", "open", "overdue"):
        if line["code"] == visit:
            late = line["status"] == "overdue"
            said = _overdue_said if late else _booked_said if line["booked"] else _window_said
            return said(day, card, line)
    return None


def _clocks(day: Day, cards: Sequence[Card]) -> Iterator[Matter]:
    for card in cards:
        for each in card["clocks"]:
            yield Matter((each["deadline"], card["code"]), partial(_clock, day, card["code"], each))


def _clock(day: Day, code: str, clock: ReportLine) -> Item:
    say, what = day.words.say, clock["what"]
    late = datetime.fromisoformat(clock["deadline"]) <= day.now
    by = marked(day.words.instant(clock["deadline"]), clock["assumed"])
    submit = Action("form.submission", form_path(code, "submission", ae=what))
    return Item(
        code,
        say("today.clock", what=_reported(day, what), by=by),
        () if what == DEATH else (submit,),
        (say("today.clock-passed"),) if late else (),
        late,
    )


def _reported(day: Day, what: str) -> str:
    say = day.words.say
    return say(f"what.{what}") if what in (DEATH, PREGNANCY) else say("what.ae", ae=what)


def _decisions(day: Day, cards: Sequence[Card]) -> Iterator[Matter]:
    for card in cards:
        code = card["code"]
        for flag in card["flags"]:
            yield Matter((flag["since"], code), partial(_flag, day, code, flag))
        if card["fatal"]:
            to = Action("form.death", form_path(code, "death"))
            yield Matter((card["fatal"], code), partial(_asked, day, code, "today.fatal", card["fatal"], to))
        if card["death"]:
            to = Action("form.adverse-event", form_path(code, "adverse-event"))
            yield Matter((card["death"], code), partial(_asked, day, code, "today.death", card["death"], to))
        if card["disposition"]:
            yield Matter((card["visits"][-1]["closes"], code), partial(_disposition, day, code))


def _flag(day: Day, code: str, flag: FlagLine) -> Item:
    criterion = marked(day.words.criterion(flag["criterion"]), flag["assumed"])
    said = day.words.say("today.flag", criterion=criterion, since=day.words.day(flag["since"]))
    return Item(code, said, (_decide(code),))


def _asked(day: Day, code: str, key: str, since: str, action: Action) -> Item:
    return Item(code, day.words.say(key, since=day.words.day(since)), (action,), urgent=True)


def _disposition(day: Day, code: str) -> Item:
    return Item(code, day.words.say("today.disposition"), (_decide(code),))


def _decide(code: str) -> Action:
    return Action("subject.decide", form_path(code, "decide"), "investigator")


def _visits(day: Day, cards: Sequence[Card], *statuses: str) -> Iterator[tuple[Card, VisitLine]]:
    for card in cards:
        for line in card["visits"]:
            if line["status"] in statuses:
                yield card, line


def may_wait(line: VisitLine) -> bool:
    """Whether a visit can be among the matters that wait, on some day, before its card is made anew."""
    if line["status"] == "upcoming":
        return line["firm"] or line["booked"] or line["declined"]
    return line["status"] in ("open", "overdue")


def _overdue(day: Day, cards: Sequence[Card]) -> Iterator[Matter]:
    for card, line in _visits(day, cards, "overdue"):
        yield _matter(
            day, card, line, line["closes"], _overdue_said, ("done", "missed", "acknowledge"), urgent=True
        )


def _now(day: Day, cards: Sequence[Card]) -> Iterator[Matter]:
    for card, line in _visits(day, cards, "open", "upcoming"):
        if line["declined"]:
            yield _matter(day, card, line, line["day"], _booked_said, ("move", "missed"), urgent=True)
        elif line["booked"] and date.fromisoformat(line["day"]) <= day.today(card):
            yield _matter(day, card, line, line["day"], _booked_said, ("done", "move", "missed"))


def _open(day: Day, cards: Sequence[Card]) -> Iterator[Matter]:
    for card, line in _visits(day, cards, "open"):
        if not line["booked"] and not line["declined"]:
            yield _matter(day, card, line, line["closes"], _window_said, ("book", "done", "missed"))


def _book(day: Day, cards: Sequence[Card]) -> Iterator[Matter]:
    for card, line in _visits(day, cards, "upcoming"):
        asked = line["firm"] and not line["booked"] and not line["declined"]
        if asked and date.fromisoformat(line["target"]) <= day.today(card) + _BOOK_AHEAD:
            yield _matter(day, card, line, line["target"], _window_said, ("book",))


def _ahead(day: Day, cards: Sequence[Card]) -> Iterator[Matter]:
    for card, line in _visits(day, cards, "open", "upcoming"):
        if not line["booked"] or line["declined"]:
            continue
        today, on = day.today(card), date.fromisoformat(line["day"])
        if today < on and (day.ahead is None or on <= today + day.ahead):
            yield _matter(day, card, line, line["day"], _booked_said, ("move", "done"))


_Said = Callable[[Day, Card, VisitLine], str]


def _overdue_said(day: Day, card: Card, line: VisitLine) -> str:
    days = (day.today(card) - date.fromisoformat(line["closes"])).days
    closes = day.day(line, "closes")
    return day.words.say.counted("today.visit-overdue", visit=day.visit(line), closes=closes, days=days)


def _booked_said(day: Day, card: Card, line: VisitLine) -> str:
    return day.words.say("today.visit-booked", visit=day.visit(line), day=day.day(line, "day"))


def _window_said(day: Day, card: Card, line: VisitLine) -> str:
    dates = {name: day.day(line, name) for name in ("day", "opens", "closes")}
    return day.words.say("today.visit-target", visit=day.visit(line), **dates)


def _matter(
    day: Day,
    card: Card,
    line: VisitLine,
    order: str,
    said: _Said,
    actions: Sequence[str],
    *,
    urgent: bool = False,
) -> Matter:
    return Matter((order, card["code"]), partial(_visit_item, day, card, line, said, actions, urgent))


def _visit_item(
    day: Day, card: Card, line: VisitLine, said: _Said, actions: Sequence[str], urgent: bool
) -> Item:
    made = tuple(act_on(card["code"], line["code"], each) for each in actions)
    return Item(card["code"], said(day, card, line), made, tuple(_notes(day, line)), urgent)


def _notes(day: Day, line: VisitLine) -> Iterator[str]:
    say = day.words.say
    if line["booked"] and (days := _outside(line)):
        yield say.counted("plan.outside", days=days)
    if line["held"]:
        yield say("today.held")
    if line["declined"]:
        yield say("today.declined")
    if line["answered"]:
        yield say("today.answered", until=day.words.day(line["answered"]))
    if line["rung"]:
        yield say("today.escalated", audience=day.words.audience(line["rung"]))


def _outside(line: VisitLine) -> int:
    """The days by which a visit's day lies outside its window; 0 inside it."""
    on, opens, closes = (date.fromisoformat(each) for each in (line["day"], line["opens"], line["closes"]))
    return max((opens - on).days, (on - closes).days, 0)


def _consents(day: Day, cards: Sequence[Card]) -> Iterator[Matter]:
    for card in cards:
        for each in card["consents"]:
            order = card["code"], each["kind"], each["version"] or ""
            yield Matter(order, partial(_consent, day, card["code"], each))


def _consent(day: Day, code: str, asked: ConsentLine) -> Item:
    kind, version = asked["kind"], asked["version"]
    if version is None:
        give = Action("form.consent-given", form_path(code, "consent-given", kind=kind))
        return Item(code, day.words.say(f"today.consent.{kind}"), (give,))
    give = Action("form.consent-given", form_path(code, "consent-given", kind=kind, version=version))
    return Item(code, day.words.say(f"today.anew.{kind}", version=version), (give,))


def _deviations(day: Day, cards: Sequence[Card]) -> Iterator[Matter]:
    for card in cards:
        for each in card["deviations"]:
            order = (each["since"], card["code"], each["id"])
            yield Matter(order, partial(_deviation, day, card["code"], each))


def _deviation(day: Day, code: str, line: DeviationLine) -> Item:
    since, category = day.words.day(line["since"]), day.words.category(line["category"])
    said = day.words.say("today.deviation", category=category, visit=line["visit"] or "", since=since)
    assess = Action("deviations.assess", form_path(code, "assess", deviation=line["id"]), "investigator")
    return Item(code, said, (assess,))


def _undelivered(day: Day, cards: Sequence[Card]) -> Iterator[Matter]:
    for card in cards:
        for each in card["undelivered"]:
            yield Matter((each["since"], card["code"]), partial(_undelivered_item, day, card["code"], each))


def _undelivered_item(day: Day, code: str, line: UndeliveredLine) -> Item:
    said = day.words.say(
        "today.undelivered-one",
        step=line["step"],
        audience=day.words.audience(line["audience"]),
        failures=line["failures"],
    )
    return Item(code, said)


_MAKE: dict[str, Callable[[Day, Sequence[Card]], Iterator[Matter]]] = {
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
