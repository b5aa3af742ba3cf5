"""The board's part about duty: who answers today by the rotas, and the days ahead on which nobody does.

People stand there by the codes of their accounts. Without a rota the board says nothing of duty.
"""

from __future__ import annotations

from itp_events.duty.ahead import GapAhead
from itp_events.duty.roster import OnDuty
from tasks.board.markdown import plain, table
from tasks.board.overview import ROWS_SHOWN, Board, rows
from tasks.board.words import on
from tasks.text.duty import reasons


def on_duty(board: Board) -> str:
    """The people on duty today, for each audience and site that has a rota today."""
    today = (each for each in board.duty if each.on_duty.planned is not None)
    lines = [(each.audience, plain(each.site), _people(each.on_duty)) for each in today]
    return table(("Audience", "Site", "On duty"), lines)


def gaps(board: Board) -> str:
    """The days on which nobody is on duty, the soonest first."""
    entries = sorted(all_gaps(board), key=lambda gap: (gap.first, gap.audience, gap.site))
    lines = [
        (gap.audience, plain(gap.site), _days(board, gap), plain(reasons(gap.missing, "en")))
        for gap in entries[:ROWS_SHOWN]
    ]
    return rows(board, ("Audience", "Site", "Days", "Why"), lines, len(entries))


def all_gaps(board: Board) -> list[GapAhead]:
    """The gaps of every audience and site."""
    return [gap for each in board.duty for gap in each.gaps]


def _people(on_duty: OnDuty) -> str:
    shown = (who if who == planned else f"{who} for {planned}" for who, planned in on_duty.covers)
    return plain(", ".join(dict.fromkeys(shown))) or "**nobody**"


def _days(board: Board, gap: GapAhead) -> str:
    first, last = on(gap.first, board.today), on(gap.last, board.today)
    return first if gap.first == gap.last else f"{first} to {last}"
