"""Keeps the study's pages in Prefect's UI up to date: finds the pages that are behind, and makes them anew.

Their contents, and how they are sent, are in `flows.pages`. No door's answer and no wake waits for them: the
service loop calls `publish` beside these. The study's database tells which subjects are behind. So every
change of a subject is shown, whether by a wake, a door or a repair; several changes at once are shown once;
and changes made while Prefect was down follow. A change costs one subject's page and card.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime

from sqlalchemy.exc import OperationalError

from flows.pages.artifacts import Artifacts
from flows.pages.board_page import STUDY_BOARD, BoardPage
from flows.pages.subject_pages import SubjectPages
from flows.prefect_api.flow_runs import Deployment, PrefectRefused, PrefectSilent
from flows.prefect_api.ui import PrefectUI, refresh_on_trouble
from flows.study.runtime import Runtime
from tasks.backoff import PAGE, PAGE_UNANSWERED, Backoff
from tasks.board import keeping, links, reading
from tasks.board.cards import Card
from tasks.database.unreadable import Unreadable

__all__ = ["AT_ONCE", "BOARD_SECONDS", "STUDY_BOARD", "UIPublisher", "publisher"]

# The board is made anew at most so often: people look at it, and nobody waits for it.
BOARD_SECONDS = 30.0
# Subjects shown in one go: between two goes the service may stop.
AT_ONCE = 5

log = logging.getLogger(__name__)


class UIPublisher:
    """Shows one study in one Prefect; `publish` is not to be called by several threads at once."""

    def __init__(self, study: Runtime, prefect: PrefectUI) -> None:
        self.study, self.prefect = study, prefect
        self._artifacts = Artifacts(study.store, prefect)
        self._subjects = SubjectPages(study, self._artifacts)
        self._backoff = Backoff(PAGE)
        self._forget()

    def _forget(self) -> None:
        """Begin as if nothing had been shown yet."""
        self._board = BoardPage(self.study, self._artifacts)
        self._board_at = float("-inf")
        self._board_behind = True
        # Held in memory: the board is made of all of them. None until it is made first.
        self._cards: dict[str, Card] | None = None

    def begin(self, board_flow: Deployment | None) -> None:
        """Offer the example automation to a Prefect that was found; show everything to one that was emptied.

        Raises:
            PrefectProblem: Prefect does not answer, or refuses.
        """
        if board_flow is not None:
            self.prefect.ensure_automation(refresh_on_trouble(board_flow.id))
        if self._artifacts.id(links.BOARD) and not self._artifacts.has(links.BOARD):
            keeping.forget_shown(self.study.store)
        self._forget()
        self._board.lead_here()
        keeping.forget_old_cards(self.study.store)

    def publish(self) -> int:
        """Show up to `AT_ONCE` subjects that are behind, then the board when it is time.

        Returns how many subjects were behind.

        Raises:
            PrefectSilent: Prefect does not answer; what it was shown until then is shown.
            PrefectRefused: Prefect refuses the board.
        """
        now = self.study.clock.now()
        codes = self._behind(now)
        for code in codes:
            self._try(code)
        today = self.study.protocol.site("default").date_of(now)
        self._board_behind |= bool(codes) or today != self._board.shown_of
        # The first board waits for every subject's page, to which it links.
        waited = time.monotonic() - self._board_at >= BOARD_SECONDS
        if self._board_behind and waited and len(codes) < AT_ONCE:
            self.show_board(self.study.clock.now())
        return len(codes)

    def _behind(self, now: datetime) -> list[str]:
        resting = self._backoff.resting()
        codes = reading.stale(self.study.store, now, AT_ONCE + len(resting))
        return [code for code in codes if code not in resting][:AT_ONCE]

    def _try(self, code: str) -> None:
        try:
            self.show_subject(code, self.study.clock.now())
            self._backoff.succeeded(code)
        except OperationalError:
            raise
        except PrefectSilent:
            self._backoff.unanswered(code, PAGE_UNANSWERED)
            raise
        except (PrefectRefused, Unreadable) as reason:
            seconds = self._backoff.failed(code)
            log.warning("%s cannot be shown, trying again in %g s: %s", code, seconds, reason)
        except Exception:
            # A fault in one page must stop neither the others nor the service.
            seconds = self._backoff.failed(code)
            log.exception("%s cannot be shown; trying again in %g s", code, seconds)

    def show_subject(self, code: str, now: datetime) -> None:
        """Show one subject as of `now`, behind or not; raises what `SubjectPages.show` raises."""
        made = self._subjects.show(code, now)
        if self._cards is not None:
            self._cards[code] = made

    def show_board(self, now: datetime) -> None:
        """Show the board of all cards as of `now`; raises what `BoardPage.show` raises."""
        began = time.monotonic()
        if self._cards is None:
            self._cards = reading.all_cards(self.study.store)
        self._board.show(self._cards, now)
        self._board_at, self._board_behind = began, False


def publisher(study: Runtime) -> UIPublisher:
    """A publisher with a connection of its own to the study's Prefect."""
    return UIPublisher(study, PrefectUI(study.prefect_api, 10.0))
