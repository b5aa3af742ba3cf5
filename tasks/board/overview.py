"""The contents of the study's board as of one instant, and the way its tables and dates are written.

The page is made of them in `tasks.board.study_page`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from zoneinfo import ZoneInfo

from itp_events.duty.ahead import PlaceToday
from tasks.board import links
from tasks.board.cards import Card, VisitLine
from tasks.board.markdown import link, plain, table
from tasks.board.words import on
from tasks.database.repairs import Mend
from tasks.database.troubles import Trouble

# A list longer than this ends with a count; the work lists show everybody.
ROWS_SHOWN = 40


@dataclass(frozen=True)
class Board:
    """The contents of the board, all of them as of `now` (UTC); dates are those of `zone`."""

    cards: Sequence[Card]
    now: datetime
    zone: ZoneInfo
    artifacts: Mapping[str, str]
    repairs: Sequence[Mend]
    refused: int
    alerts: Sequence[tuple[str, int]]
    troubles: Sequence[Trouble] = ()
    duty: Sequence[PlaceToday] = ()
    drawing: str | None = None
    journeys: str | None = None

    @cached_property
    def today(self) -> date:
        """The date at the study's default site."""
        return self.now.astimezone(self.zone).date()

    def subject(self, card: Card) -> str:
        """A subject's code, linked to its plan where Prefect shows one."""
        artifact = self.artifacts.get(links.plan_key(card["code"]))
        return link(card["code"], links.artifact(artifact) if artifact else None)

    @cached_property
    def site_column(self) -> tuple[str, ...]:
        """The heading of the sites' column, where there is more than one site."""
        return ("Site",) if len({card["site"] for card in self.cards}) > 1 else ()

    def site(self, card: Card) -> tuple[str, ...]:
        """A subject's site, for that column."""
        return (plain(card["site"]),) * len(self.site_column)

    def visits(self, *statuses: str) -> Iterator[tuple[Card, VisitLine]]:
        """The visits in these statuses, of everybody."""
        for card in self.cards:
            for visit in card["visits"]:
                if visit["status"] in statuses:
                    yield card, visit


def rows(
    board: Board, columns: Sequence[str], lines: Sequence[Sequence[str]], of: int, name: str = ""
) -> str:
    """A table of the first of `of` lines; a link leads to all, in the work list `name` or in everybody's."""
    work_list = next((each for each in links.WORK_LISTS if each.name == name), links.WORK_LISTS[0])
    more = f"and {of - len(lines)} more" if of > len(lines) else ""
    rest = f"\n\n{link(more, work_list.address(board.today, board.journeys))}" if more else ""
    return table(columns, lines) + rest


def age(board: Board, since: str) -> int:
    """The number of days since a date, by the study's default site."""
    return (board.today - date.fromisoformat(since)).days


def on_day(board: Board, value: str) -> str:
    """A date of a card, with its weekday."""
    return on(date.fromisoformat(value), board.today)


def at(board: Board, instant: datetime) -> str:
    """An instant by the clocks of the study's default site."""
    local = instant.astimezone(board.zone)
    return f"{on(local.date(), board.today)} {local:%H:%M}"
