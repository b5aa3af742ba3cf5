"""The study's board in Prefect's UI, with everybody's lanes, and the work lists.

The page of one subject is in `flows.pages.subject_pages`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

from flows.pages.artifacts import Artifacts
from flows.prefect_api.flow_runs import JOURNEY
from flows.study.runtime import Runtime
from tasks.board import links
from tasks.board.cards import Card
from tasks.board.lanes import swimmer
from tasks.board.overview import Board
from tasks.board.paper import inline
from tasks.board.reading import study_board
from tasks.board.study_page import study_page

STUDY_BOARD = "study-board"
ABOUT_BOARD = "Who needs what today, and how the study does."
# The drawing of all lanes is the one part that costs more the more subjects there are.
LANES_SECONDS = 300.0


@dataclass
class BoardPage:
    """Shows the board of one study in one Prefect; `shown_of` is the date of the board shown last."""

    study: Runtime
    artifacts: Artifacts
    shown_of: date | None = None
    _journeys_flow: str | None = None
    _lanes: tuple[date, float, str] | None = None

    def show(self, cards: Mapping[str, Card], now: datetime) -> None:
        """Show the board of these cards as of `now` (UTC, the study's time), and the work lists of its date.

        Raises:
            PrefectProblem: Prefect does not answer, or refuses.
        """
        of_all = [cards[code] for code in sorted(cards)]
        board = study_board(self.study.store, self.study.protocol, of_all, now)
        board = replace(board, drawing=self._lanes_of(board), journeys=self._journeys())
        self.artifacts.show(links.BOARD, "markdown", study_page(board), ABOUT_BOARD)
        if self.shown_of != board.today:
            for each in links.WORK_LISTS:
                self.artifacts.prefect.save_search(each.search(board.today, self._journeys()))
        self.shown_of = board.today

    def lead_here(self) -> None:
        """Write the board's address into the descriptions of two deployments.

        Prefect's menu does not lead to artifacts.
        """
        if not self.artifacts.has(links.BOARD):
            self.artifacts.show(links.BOARD, "markdown", "# Being made ...", ABOUT_BOARD)
        board = self.artifacts.address(links.BOARD)
        for name in (JOURNEY, STUDY_BOARD):
            if board and (deployment := self.artifacts.prefect.deployment(name)):
                said = f"**[The study's board: who needs what today]({board})**"
                self.artifacts.prefect.describe(deployment, said)

    def _lanes_of(self, board: Board) -> str | None:
        """Everybody's lanes as they are now, or as they were a few minutes ago; None without subjects."""
        if not board.cards:
            return None
        made = self._lanes
        if made is None or made[0] != board.today or time.monotonic() - made[1] >= LANES_SECONDS:
            drawing = inline(swimmer(board.cards, board.today))
            self._lanes = made = (board.today, time.monotonic(), drawing)
        return made[2]

    def _journeys(self) -> str | None:
        """The id of the journeys' flow, by which Prefect's runs page tells them from other runs."""
        if self._journeys_flow is None and (journeys := self.artifacts.prefect.deployment(JOURNEY)):
            self._journeys_flow = str(journeys.flow_id)
        return self._journeys_flow
