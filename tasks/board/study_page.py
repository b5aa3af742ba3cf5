"""The study's board: who needs what today, what the next days bring, what is stuck, how the study does.

Made from the subjects' cards alone, so that its cost is the same whatever happened to how many subjects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

from itp_events.explain import day, days
from tasks.board import links
from tasks.board.cards import Card, VisitLine
from tasks.board.markdown import counted, document, link, plain, table
from tasks.queries import Repair

AHEAD_DAYS = 14
# A list longer than this ends with a count; the work lists show everybody.
ROWS_SHOWN = 60
REPAIRS_SHOWN = 10
PHASES = {
    "on-treatment": "on treatment",
    "in-follow-up": "in follow-up",
    "on-hold": "on hold",
    "completed": "completed",
    "withdrawn": "withdrawn",
}


@dataclass(frozen=True)
class Board:
    """What the board shows, all of it as of one instant."""

    cards: Sequence[Card]
    now: datetime
    zone: ZoneInfo
    artifacts: Mapping[str, str]
    repairs: Sequence[Repair]
    refused: int
    alerts: Sequence[tuple[str, int]]
    drawing: str | None = None
    journeys: str | None = None

    @property
    def today(self) -> date:
        """The date at the study's default site."""
        return self.now.astimezone(self.zone).date()

    def subject(self, card: Card) -> str:
        """A subject's code, linked to its plan where Prefect shows one."""
        found = self.artifacts.get(links.plan_key(card["code"]))
        return link(card["code"], links.artifact(found) if found else None)

    def visits(self, *statuses: str) -> Iterator[tuple[Card, VisitLine]]:
        """The visits in these statuses, of everybody."""
        for card in self.cards:
            for visit in card["visits"]:
                if visit["status"] in statuses:
                    yield card, visit


def study_page(board: Board) -> str:
    """The board as Markdown."""
    live = [card for card in board.cards if not card["exit"]]
    return document(
        [
            "# Who needs what today",
            f"**{day(board.today)}** · {counted(len(board.cards), 'subject')} enrolled, {len(live)} live · "
            + _tally(board),
            "Work lists: "
            + " · ".join(
                link(each.name, each.address(board.today, board.journeys)) for each in links.WORK_LISTS
            )
            + f" · {link('what happened', links.happened())}",
            _section("Waiting for the investigator", _investigator(board)),
            _section("Safety reports to submit", _clocks(board)),
            _section("Overdue visits", _overdue(board)),
            _section("Today", _on(board, None, 0) or "No visit is waited for today."),
            _section(f"The next {AHEAD_DAYS} days", _on(board, 1, AHEAD_DAYS)),
            _section("Notices that did not arrive", _undelivered(board)),
            _section("Enrolment, by phase", _phases(board)),
            _section("Adherence", _adherence(board)),
            _section("All subjects", f"![Every subject's visits]({board.drawing})" if board.drawing else ""),
            _section("Repaired by the service", _repairs(board)),
        ]
    )


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def _tally(board: Board) -> str:
    counts = {
        "overdue visit": sum(1 for _ in board.visits("overdue")),
        "open flag": sum(len(card["flags"]) for card in board.cards),
        "safety report": sum(len(card["clocks"]) for card in board.cards),
        "undelivered notice": sum(len(card["undelivered"]) for card in board.cards) + len(board.alerts),
    }
    return (
        ", ".join(f"**{counted(number, what)}**" for what, number in counts.items() if number)
        or "nothing is late"
    )


def _rows(
    board: Board, columns: Sequence[str], rows: Sequence[Sequence[str]], of: str = "all subjects"
) -> str:
    more = len(rows) - ROWS_SHOWN
    address = next(each.address(board.today, board.journeys) for each in links.WORK_LISTS if each.name == of)
    rest = f"\n\n{link(f'and {more} more', address)}" if more > 0 else ""
    return table(columns, rows[:ROWS_SHOWN]) + rest


def _age(board: Board, since: str) -> str:
    return counted((board.today - date.fromisoformat(since)).days, "day")


def _overdue(board: Board) -> str:
    found = sorted(board.visits("overdue"), key=lambda pair: (pair[1]["closes"], pair[0]["code"]))
    rows = [
        (
            board.subject(card),
            visit["code"],
            f"**{_age(board, visit['closes'])}**",
            _window(visit),
            visit["rung"] or "nobody yet",
            plain(card["site"]),
        )
        for card, visit in found
    ]
    columns = ("Subject", "Visit", "Overdue for", "Window", "Escalated to", "Site")
    return _rows(board, columns, rows, "overdue") or "None."


def _window(visit: VisitLine) -> str:
    return days(date.fromisoformat(visit["opens"]), date.fromisoformat(visit["closes"]))


def _investigator(board: Board) -> str:
    flags = [
        (each["since"], board.subject(card), f"decide on {each['criterion']}")
        for card in board.cards
        for each in card["flags"]
    ]
    last = [
        (card["visits"][-1]["closes"], board.subject(card), "choose a disposition")
        for card in board.cards
        if card["disposition"]
    ]
    rows = [
        (who, what, day(date.fromisoformat(since)), _age(board, since))
        for since, who, what in sorted(flags + last)
    ]
    return _rows(board, ("Subject", "What", "Since", "For"), rows, "waiting for the investigator")


def _clocks(board: Board) -> str:
    found = sorted(
        (each["deadline"], board.subject(card), each["what"])
        for card in board.cards
        for each in card["clocks"]
    )
    rows = [(who, plain(what), _deadline(board, deadline)) for deadline, who, what in found]
    return _rows(board, ("Subject", "Event", "Submit by"), rows)


def _deadline(board: Board, deadline: str) -> str:
    instant = datetime.fromisoformat(deadline)
    return _at(board, instant) + (" **passed**" if instant <= board.now else "")


def _at(board: Board, instant: datetime) -> str:
    local = instant.astimezone(board.zone)
    return f"{day(local.date())} {local:%H:%M}"


def _on(board: Board, first: int | None, last: int) -> str:
    """The visits whose booked or target date lies so many days ahead; first None: all that have come."""
    begin = (board.today + timedelta(days=first)).isoformat() if first else ""
    end = (board.today + timedelta(days=last)).isoformat()
    found = [
        (visit["day"], card["code"], card, visit)
        for card, visit in board.visits("upcoming", "open")
        if visit["firm"] and begin <= visit["day"] <= end and not card["exit"]
    ]
    rows = [
        (
            day(date.fromisoformat(on)),
            board.subject(card),
            visit["code"],
            _agreed(board, card, visit),
            _window(visit),
        )
        for on, _, card, visit in sorted(found, key=lambda row: row[:2])
    ]
    return _rows(board, ("Date", "Subject", "Visit", "Agreed", "Window"), rows)


def _agreed(board: Board, card: Card, visit: VisitLine) -> str:
    today = board.today.isoformat()
    if card["flags"]:
        return "on hold"
    if visit["closes"] == today:
        return "**last day**"
    if visit["day"] < today:
        return "booked, not recorded" if visit["booked"] else "target passed"
    return "booked" if visit["booked"] else "target, not booked"


def _undelivered(board: Board) -> str:
    rows = [
        (board.subject(card), each["step"], each["audience"], each["since"][:10], plain(each["error"]))
        for card in board.cards
        for each in card["undelivered"]
    ]
    rows += [
        ("the service", "channel", plain(label), "", counted(failures, "failure"))
        for label, failures in board.alerts
    ]
    return _rows(board, ("Subject", "What", "To", "Since", "Why"), sorted(rows, key=lambda row: row[3]))


def _phases(board: Board) -> str:
    sites = sorted({card["site"] for card in board.cards})
    counts = Counter((card["site"], card["status"]) for card in board.cards)
    rows = [
        (
            label,
            *(str(counts[site, status]) for site in sites),
            str(sum(counts[site, status] for site in sites)),
        )
        for status, label in PHASES.items()
    ]
    refused = f"{counted(board.refused, 'enrolment')} refused (screening log)." if board.refused else ""
    return document(
        [table(("Phase", *(f"site {plain(site)}" for site in sites), "All"), rows), refused]
    ).strip()


def _adherence(board: Board) -> str:
    codes = list(dict.fromkeys(visit["code"] for card in board.cards for visit in card["visits"]))
    lines = {code: [v for card in board.cards for v in card["visits"] if v["code"] == code] for code in codes}
    rows = [_adhered(code, found) for code, found in lines.items()]
    everything = [visit for found in lines.values() for visit in found]
    columns = ("Visit", "Done", "In window", "Missed", "Median from target", "Median outside the window")
    return table(columns, [row for row in [*rows, _adhered("**all**", everything)] if row])


def _adhered(name: str, visits: Iterable[VisitLine]) -> tuple[str, ...]:
    found = list(visits)
    done = [each for each in found if each["on"]]
    missed = sum(each["status"] == "missed" for each in found)
    if not done and not missed:
        return ()
    inside = sum(each["deviation"] == 0 for each in done)
    outside = [each["deviation"] for each in done if each["deviation"]]
    return (
        name,
        str(len(done)),
        f"{inside} ({inside / len(done):.0%})" if done else "",
        str(missed),
        _days(median([each["off_target"] or 0 for each in done])) if done else "",
        _days(median(outside)) if outside else "",
    )


def _days(value: float) -> str:
    return f"{value:+g} d" if value else "0 d"


def _repairs(board: Board) -> str:
    rows = [
        (_at(board, each.at), each.subject or "", plain(each.what)) for each in board.repairs[:REPAIRS_SHOWN]
    ]
    return table(("When", "Subject", "What"), rows)
