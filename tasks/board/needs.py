"""The board's lists of open matters, by audience, the most urgent first.

The figures are in `tasks.board.figures`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from itp_events.marks import marked
from itp_events.rules.deviations import WORDS
from itp_events.rules.explain import counted, days
from tasks.board.cards import DEATH, PREGNANCY, Card, ConsentLine, FlagLine, VisitLine
from tasks.board.markdown import plain
from tasks.board.overview import ROWS_SHOWN, Board, age, at, on_day, rows
from tasks.board.words import ago, criterion, step

AHEAD_DAYS = 14


def investigator(board: Board) -> str:
    """The decisions that wait for the investigator, the longest waiting first."""
    flags = [
        (each["since"], card["code"], card, f"{_criterion(each)}: may the subject go on?")
        for card in board.cards
        for each in card["flags"]
    ]
    last = [
        (card["visits"][-1]["closes"], card["code"], card, "disposition: how did the subject end the study?")
        for card in board.cards
        if card["disposition"]
    ]
    deaths = [
        (card["death"], card["code"], card, "report the serious adverse event that led to the death")
        for card in board.cards
        if card["death"]
    ]
    fatal = [
        (card["fatal"], card["code"], card, "fatal adverse event: record the death, or correct the event")
        for card in board.cards
        if card["fatal"]
    ]
    entries = sorted(flags + last + deaths + fatal, key=lambda row: (row[0], row[1], row[3]))
    lines = [
        (board.subject(card), *board.site(card), what, on_day(board, since), ago(age(board, since)))
        for since, _, card, what in entries[:ROWS_SHOWN]
    ]
    columns = ("Subject", *board.site_column, "What", "Since", "Waits")
    return rows(board, columns, lines, len(entries), "waiting for the investigator")


def _criterion(flag: FlagLine) -> str:
    return marked(criterion(flag["criterion"]), flag["assumed"])


def clocks(board: Board) -> str:
    """The safety reports still to be submitted, the soonest first."""
    entries = sorted(
        (
            (each["deadline"], card["code"], card, each["what"], each["assumed"])
            for card in board.cards
            for each in card["clocks"]
        ),
        key=lambda row: (row[0], row[1], row[3]),
    )
    lines = [
        (board.subject(card), *board.site(card), _event(what), marked(_deadline(board, deadline), assumed))
        for deadline, _, card, what, assumed in entries[:ROWS_SHOWN]
    ]
    return rows(board, ("Subject", *board.site_column, "Event", "Submit by"), lines, len(entries))


def deviations(board: Board) -> str:
    """The important deviations that the investigator has not assessed, the oldest first."""
    entries = sorted(
        (
            (each["since"], card["code"], each["id"], card, each)
            for card in board.cards
            for each in card["deviations"]
        ),
        key=lambda row: row[:3],
    )
    lines = [
        (
            board.subject(card),
            *board.site(card),
            each["visit"] or "",
            WORDS[each["category"]],
            on_day(board, since),
        )
        for since, _, _, card, each in entries[:ROWS_SHOWN]
    ]
    if not lines:
        return ""
    shown = rows(board, ("Subject", *board.site_column, "Visit", "Deviation", "Since"), lines, len(entries))
    # An id is longer than a cell of a terminal.
    return (
        f"{shown}\n\nTheir ids are on the subject's page, and in `itp deviations --important --unassessed`."
    )


def _event(what: str) -> str:
    if what == DEATH:
        return "the adverse event that led to the death"
    return what if what == PREGNANCY else f"serious adverse event {plain(what)}"


def _deadline(board: Board, deadline: str) -> str:
    instant = datetime.fromisoformat(deadline)
    return f"{'**PASSED** ' if instant <= board.now else ''}{at(board, instant)}"


def overdue(board: Board) -> str:
    """The visits whose window closed with nothing recorded, the longest overdue first."""
    entries = sorted(board.visits("overdue"), key=lambda pair: (pair[1]["closes"], pair[0]["code"]))
    lines = [
        (
            board.subject(card),
            *board.site(card),
            _named(visit),
            f"**{counted(age(board, visit['closes']), 'day')}**",
            marked(on_day(board, visit["closes"]), "closes" in visit["assumed"]),
            _escalated(board, visit),
        )
        for card, visit in entries[:ROWS_SHOWN]
    ]
    columns = ("Subject", *board.site_column, "Visit", "Overdue", "Window closed", "Escalated to")
    return rows(board, columns, lines, len(entries), "overdue") or "None."


def _named(visit: VisitLine) -> str:
    return f"{visit['code']} · {visit['label'].lower()}"


def _escalated(board: Board, visit: VisitLine) -> str:
    said = [visit["rung"] or "nobody yet"]
    if visit["booked"] and visit["day"] >= board.today.isoformat():
        said.append(f"booked for {on_day(board, visit['day'])}")
    if visit["held"]:
        said.append("on hold until the investigator decides")
    elif visit["answered"] and visit["answered"] > board.today.isoformat():
        said.append(f"somebody takes care of it until {on_day(board, visit['answered'])}")
    return "; ".join(said)


def _window(board: Board, visit: VisitLine) -> str:
    entries = days(date.fromisoformat(visit["opens"]), date.fromisoformat(visit["closes"]))
    return marked(entries.removesuffix(f" {board.today.year}"), "closes" in visit["assumed"])


def _coming(board: Board) -> Iterator[tuple[Card, VisitLine]]:
    """The visits that can be done now or later: anchored, not recorded, and their window has not closed."""
    for card, visit in board.visits("upcoming", "open"):
        if visit["firm"] and not card["exit"]:
            yield card, visit


def today(board: Board) -> str:
    """The visits whose booked or target date has come: those first that can be done today only."""
    today = board.today.isoformat()
    entries = sorted(
        (pair for pair in _coming(board) if pair[1]["day"] <= today or pair[1]["closes"] == today),
        key=lambda pair: (_urgency(pair[1], today), pair[1]["closes"], pair[0]["code"]),
    )
    lines = [
        (board.subject(card), *board.site(card), _named(visit), _agreed(board, visit), _closes(board, visit))
        for card, visit in entries[:ROWS_SHOWN]
    ]
    return rows(
        board,
        ("Subject", *board.site_column, "Visit", "Agreed", "Window closes"),
        lines,
        len(entries),
    )


def _urgency(visit: VisitLine, today: str) -> tuple[bool, ...]:
    """The order of today's visits: last chances first, then visits agreed for today, held ones last."""
    return visit["held"], visit["closes"] != today, visit["day"] != today


def _closes(board: Board, visit: VisitLine) -> str:
    last = "**today**" if visit["closes"] == board.today.isoformat() else on_day(board, visit["closes"])
    return marked(last, "closes" in visit["assumed"])


def ahead(board: Board) -> str:
    """The visits whose booked or target date lies ahead, by date."""
    today, last = board.today.isoformat(), (board.today + timedelta(days=AHEAD_DAYS)).isoformat()
    entries = sorted(
        (pair for pair in _coming(board) if today < pair[1]["day"] <= last and pair[1]["closes"] != today),
        key=lambda pair: (pair[1]["day"], pair[0]["code"]),
    )
    lines = [
        (
            marked(on_day(board, visit["day"]), "day" in visit["assumed"]),
            board.subject(card),
            *board.site(card),
            _named(visit),
            _agreed(board, visit),
            _window(board, visit),
        )
        for card, visit in entries[:ROWS_SHOWN]
    ]
    return rows(
        board,
        ("Date", "Subject", *board.site_column, "Visit", "Agreed", "Window"),
        lines,
        len(entries),
    )


def _agreed(board: Board, visit: VisitLine) -> str:
    today = board.today.isoformat()
    word = "booked" if visit["booked"] else marked("target", "day" in visit["assumed"])
    if visit["held"]:
        return "on hold: wait for the decision"
    if visit["declined"]:
        return f"**cannot come on {on_day(board, visit['day'])}: book another day**"
    if visit["day"] < today:
        return f"{word} was {on_day(board, visit['day'])}, nothing recorded"
    if visit["day"] == today:
        return f"**{word} today**"
    if visit["day"] > visit["closes"]:
        return f"{word} for {on_day(board, visit['day'])}, after the window"
    return "booked" if visit["booked"] else "not booked yet"


def consents(board: Board) -> str:
    """The consents that are not recorded yet: those due by age, and those that a version asks for anew."""
    words = {"assent": "the subject's own assent", "majority": "consent in the subject's own name"}
    entries = [(card, each) for card in board.cards for each in card["consents"]]
    lines = [
        (
            board.subject(card),
            *board.site(card),
            words[each["kind"]] if each["version"] is None else _to_version(each),
            on_day(board, card["enrolled"]),
        )
        for card, each in entries[:ROWS_SHOWN]
    ]
    return rows(board, ("Subject", *board.site_column, "To plan", "Enrolled"), lines, len(entries))


def _to_version(asked: ConsentLine) -> str:
    return f"{asked['kind']} to protocol version {plain(asked['version'] or '')}"


def troubles(board: Board) -> str:
    """The troubles that a person must mend, the oldest first."""
    lines = [
        (plain(each.about), at(board, each.since), plain(each.what)) for each in board.troubles[:ROWS_SHOWN]
    ]
    return rows(board, ("About", "Since", "What"), lines, len(board.troubles))


def undelivered(board: Board) -> str:
    """The channels that fail, and the notices that a recipient did not get in several sends."""
    channels = [
        ("the service", "a channel fails", plain(label), "", f"{counted(failures, 'send')} failed in a row")
        for label, failures in board.alerts
    ]
    entries = sorted(
        ((card, each) for card in board.cards for each in card["undelivered"]),
        key=lambda pair: (pair[1]["since"], pair[1]["key"]),
    )
    lines = [
        (
            board.subject(card),
            step(each["step"]),
            each["audience"],
            at(board, datetime.fromisoformat(each["since"])),
            f"{counted(each['failures'], 'send')} failed: {plain(each['error'])}",
        )
        for card, each in entries[:ROWS_SHOWN]
    ]
    columns = ("Subject", "What", "To", "Since", "Why")
    return rows(board, columns, [*channels, *lines], len(channels) + len(entries))
