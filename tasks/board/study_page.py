"""The study's board as a page: today's needs, the next days, troubles, and the study in figures.

It is made of the subjects' cards alone, so that its cost does not grow with their histories.
"""

from __future__ import annotations

from itp_events.marks import LEGEND
from itp_events.rules.explain import counted
from tasks.board import links
from tasks.board.figures import adherence, phases, repairs
from tasks.board.markdown import document, link, section
from tasks.board.needs import (
    AHEAD_DAYS,
    ahead,
    clocks,
    consents,
    deviations,
    investigator,
    overdue,
    today,
    troubles,
    undelivered,
)
from tasks.board.on_duty import all_gaps, gaps, on_duty
from tasks.board.overview import Board
from tasks.board.words import on


def study_page(board: Board) -> str:
    """The board as Markdown: open matters first, the most urgent on top; then the study in figures."""
    return document(
        [
            "# Who needs what today",
            f"**{on(board.today)}** · {_enrolled(board)} · {_tally(board)}",
            "Work lists: "
            + " · ".join(
                link(each.name, each.address(board.today, board.journeys)) for each in links.WORK_LISTS
            )
            + f" · {link('what happened', links.happened())}",
            section("Operations: what somebody must mend", troubles(board)),
            section("Administrator: days on which nobody is on duty", gaps(board)),
            section("Investigator: safety reports to submit", clocks(board)),
            section("Investigator: decisions that wait", investigator(board)),
            section("Investigator: important deviations to assess", deviations(board)),
            section("Coordinator: overdue visits", overdue(board)),
            section("Coordinator: visits today", today(board) or "No visit is waited for today."),
            section(f"Coordinator: the next {AHEAD_DAYS} days", ahead(board)),
            section("Coordinator: consents to plan", consents(board)),
            f"{LEGEND}; the rest is the sponsor's synopsis." if board.cards else "",
            section("Operations: notices that did not arrive", undelivered(board)),
            section("On duty today", on_duty(board)),
            section("Enrolment, by phase", phases(board)),
            section("Adherence", adherence(board)),
            section("All subjects", _lanes(board)),
            section("Repaired by the service", repairs(board)),
        ]
    )


def _enrolled(board: Board) -> str:
    if not board.cards:
        return "nobody is enrolled yet"
    live = sum(not card["exit"] for card in board.cards)
    return f"{counted(len(board.cards), 'subject')} enrolled, {live} still in the study"


def _lanes(board: Board) -> str:
    return f"![Every subject's visits]({board.drawing})" if board.cards and board.drawing else ""


def _tally(board: Board) -> str:
    counts = {
        "safety report": sum(len(card["clocks"]) for card in board.cards),
        "decision": sum(len(card["flags"]) + card["disposition"] for card in board.cards),
        "unassessed deviation": sum(len(card["deviations"]) for card in board.cards),
        "unexplained death": sum(bool(card["death"]) for card in board.cards),
        "unrecorded death": sum(bool(card["fatal"]) for card in board.cards),
        "overdue visit": sum(1 for _ in board.visits("overdue")),
        "undelivered notice": sum(len(card["undelivered"]) for card in board.cards),
        "failing channel": len(board.alerts),
        "trouble": len(board.troubles),
        "duty gap": len(all_gaps(board)),
    }
    tallies = [f"**{counted(number, what)}**" for what, number in counts.items() if number]
    return ", ".join(tallies) or "nothing is late, nothing waits"
