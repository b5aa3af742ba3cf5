"""The study's board in Prefect's UI, with everybody's lanes, and the work lists.

The page of one subject is in `flows.pages.subject_pages`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

from flows.pages.artifacts import Artifacts
from flows.prefect_api.flow_runs import JOURNEY
from flows.study.runtime import Runtime
from tasks.board import links
from tasks.board.cards import Card
from tasks.board.reading import study_board
from tasks.board.study_page import study_page

STUDY_BOARD = "study-board"
ABOUT_BOARD = "Who needs what today, and how the study does."


@dataclass
class BoardPage:
    """Shows the board of one study in one Prefect; `shown_of` is the date of the board shown last."""

    study: Runtime
    artifacts: Artifacts
    shown_of: date | None = None
    _journeys_flow: str | None = None

    def show(self, cards: Mapping[str, Card], now: datetime) -> None:
        """Show the board of these cards as of `now` (UTC, the study's time), and the work lists of its date.

        Raises:
            PrefectProblem: Prefect does not answer, or refuses.
        """
        of_all = [cards[code] for code in sorted(cards)]
        board = study_board(self.study.store, self.study.protocol, of_all, now)
        board = replace(board, drawing=self._lanes(), journeys=self._journeys())
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

    def _lanes(self) -> str | None:
        """The address of everybody's lanes; None where no links are made."""
        pages = self.study.channels.links
        return pages.picture(None) if pages else None

    def _journeys(self) -> str | None:
        """The id of the journeys' flow, by which Prefect's runs page tells them from other runs."""
        if self._journeys_flow is None and (journeys := self.artifacts.prefect.deployment(JOURNEY)):
            self._journeys_flow = str(journeys.flow_id)
        return self._journeys_flow
