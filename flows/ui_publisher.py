"""Keeps what Prefect's UI shows of the study up to date: each subject's page, the board, the events.

Never inside a door's answer or a wake: the service's round calls `publish` between them. What is behind is
read from the study's database, so whatever moved a subject (a wake, a door, a repair) is shown, several
moves at once are shown once, and what Prefect missed while it was down follows. A change costs one subject's
page and card; the board is made anew from the cards, which are held in memory, at most once per
`BOARD_SECONDS`, and everybody's lanes are drawn anew at most once per `LANES_SECONDS`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy.exc import OperationalError

from flows.prefect_api.flow_runs import JOURNEY, Deployment, PrefectRefused, PrefectSilent
from flows.prefect_api.ui import PrefectUI, refresh_on_trouble
from flows.study.runtime import Runtime
from tasks.backoff import PAGE, PAGE_UNANSWERED, Backoff
from tasks.board import links, reading
from tasks.board.cards import Card, Story, card, looks_alike, progress
from tasks.board.drawings import timeline
from tasks.board.happenings import Happening, happenings, standing
from tasks.board.lanes import swimmer
from tasks.board.overview import Board
from tasks.board.paper import inline
from tasks.board.reading import Kept
from tasks.board.study_page import study_page
from tasks.board.subject_page import subject_page
from tasks.database.queries import subject

STUDY_BOARD = "study-board"
ABOUT_BOARD = "Who needs what today, and how the study does."
BOARD_SECONDS = 30.0
# The drawing of all lanes is the one part that costs more the more subjects there are.
LANES_SECONDS = 300.0
AT_ONCE = 5
# Prefect keeps events for a week: older news is no news.
NEWS = timedelta(days=7)

log = logging.getLogger(__name__)


@dataclass
class UIPublisher:
    """Shows one study in one Prefect; `publish` is not to be called by several threads at once."""

    study: Runtime
    prefect: PrefectUI
    _backoff: Backoff = field(default_factory=lambda: Backoff(PAGE))
    _board_at: float = field(default=float("-inf"))
    _board_behind: bool = True
    _board_of: date | None = None
    _journeys_flow: str | None = None
    _cards: dict[str, Card] | None = None
    _lanes: tuple[date, float, str] | None = None

    def publish(self) -> int:
        """Show up to `AT_ONCE` subjects that are behind, then the board when it is time.

        Returns how many subjects were behind.

        Raises:
            PrefectSilent: Prefect does not answer; what it was shown until then is shown.
        """
        now = self.study.clock.now()
        codes = self._behind(now)
        for code in codes:
            self._try(code)
        self._board_behind |= bool(codes) or self._today(now) != self._board_of
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
        except PrefectRefused as reason:
            seconds = self._backoff.failed(code)
            log.warning("%s cannot be shown, trying again in %g s: %s", code, seconds, reason)
        except Exception:
            # What cannot be shown of one subject must stop neither the others nor the service.
            seconds = self._backoff.failed(code)
            log.exception("%s cannot be shown; trying again in %g s", code, seconds)

    def show_subject(self, code: str, now: datetime) -> None:
        """Show one subject: its page, its progress, its tags and what happened since it was shown last."""
        store = self.study.store
        row = subject(store, code)
        assert row is not None, f"{code} has a card and no row"
        story, before = reading.story(store, self.study.protocol, code, now), reading.kept(store, code)
        drawing = self._drawing(story, before)
        self._show_pages(story, before, drawing, row.flow_run_id)
        shown = self._show_tags(story, before, row.flow_run_id)
        told = self._tell(story, before, row.flow_run_id, now)
        made = reading.keep(store, story, drawing, {"shown_tags": shown, **told}, now)
        if self._cards is not None:
            self._cards[code] = made

    def show_board(self, now: datetime) -> None:
        """Show the board of all cards, and the work lists around its date."""
        store = self.study.store
        began = time.monotonic()
        if self._cards is None:
            kept = reading.all_cards(store)
            self._cards = {each["code"]: each for each in kept if reading.is_of_this_form(each)}
        cards = [self._cards[code] for code in sorted(self._cards)]
        board = reading.study_board(store, self.study.protocol, cards, now)
        page = study_page(reading.drawn(board, self._lanes_of(board), self._journeys()))
        self._show(links.BOARD, "markdown", page, ABOUT_BOARD, None)
        if self._board_of != board.today:
            for each in links.WORK_LISTS:
                self.prefect.save_search(each.search(board.today, self._journeys()))
        self._board_at, self._board_behind, self._board_of = began, False, board.today

    def _lanes_of(self, board: Board) -> str | None:
        """Everybody's lanes as they are now, or as they were a few minutes ago."""
        if not board.cards:
            return None
        made = self._lanes
        if made is None or made[0] != board.today or time.monotonic() - made[1] >= LANES_SECONDS:
            drawing = inline(swimmer(board.cards, board.today))
            self._lanes = made = (board.today, time.monotonic(), drawing)
        return made[2]

    def begin(self, board_flow: Deployment | None) -> None:
        """Prefect has been found: offer the example automation; show everything to one that was emptied."""
        if board_flow is not None:
            self.prefect.ensure_automation(refresh_on_trouble(board_flow.id))
        known = reading.artifact_id(self.study.store, links.BOARD)
        if known and not self.prefect.has_artifact(known):
            reading.forget_shown(self.study.store)
        self._lead_to_board()
        self._board_at, self._board_behind, self._board_of = float("-inf"), True, None
        self._journeys_flow, self._cards, self._lanes = None, None, None
        reading.forget_old_forms(self.study.store)

    def _lead_to_board(self) -> None:
        """Prefect's menu does not lead to artifacts: the descriptions of the deployments do."""
        board = reading.artifact_id(self.study.store, links.BOARD)
        if board is None or not self.prefect.has_artifact(board):
            self._show(links.BOARD, "markdown", "# Being made ...", ABOUT_BOARD, None)
            board = reading.artifact_id(self.study.store, links.BOARD)
        for name in (JOURNEY, STUDY_BOARD):
            if board and (found := self.prefect.deployment(name)):
                said = f"**[The study's board: who needs what today]({links.artifact(board)})**"
                self.prefect.describe(found, said)

    def _journeys(self) -> str | None:
        """The id of the journeys' flow, by which Prefect's runs page tells them from other runs."""
        if self._journeys_flow is None and (found := self.prefect.deployment(JOURNEY)):
            self._journeys_flow = str(found.flow_id)
        return self._journeys_flow

    def _today(self, now: datetime) -> date:
        return self.study.protocol.site("default").date_of(now)

    def _drawing(self, story: Story, before: Kept | None) -> str:
        """A wake that changes nothing on the drawing costs none."""
        if before is not None and before.drawing and looks_alike(before.body, card(story)):
            return before.drawing
        return inline(timeline(story))

    def _show_pages(self, story: Story, before: Kept | None, drawing: str, run: str | None) -> None:
        board = reading.artifact_id(self.study.store, links.BOARD)
        code, pages = story.code, self.study.channels.links
        page = subject_page(
            story,
            drawing,
            links.artifact(board) if board else None,
            links.flow_run(run) if run else None,
            pages.decide(code) if pages else None,
        )
        self._show(links.plan_key(code), "markdown", page, f"{code}: {story.decision.state}", run)
        self._lead_from_run(code, run)
        reached = progress(story)
        if before is None or before.body["progress"] != reached or self._lost(links.progress_key(code)):
            self._show(links.progress_key(code), "progress", reached, f"Visits of {code} settled", run)

    def _lead_from_run(self, code: str, run: str | None) -> None:
        """A flow run that waits shows none of its artifacts, but its log: two lines there lead to them."""
        store = self.study.store
        plan, board = (reading.artifact_id(store, each) for each in (links.plan_key(code), links.BOARD))
        led = f"{run}:{plan}"
        if run is None or plan is None or reading.artifact_id(store, links.key("log", code)) == led:
            return
        lines = [f"Plan of {code}, and who must do what: {self.prefect.page(links.artifact(plan))}"]
        if board:
            lines.append(f"All subjects, on the study's board: {self.prefect.page(links.artifact(board))}")
        self.prefect.log(run, lines, self.study.clock.wall(self.study.clock.now()))
        reading.remember_artifact(store, links.key("log", code), led)

    def _lost(self, key: str) -> bool:
        return reading.artifact_id(self.study.store, key) is None

    def _show(self, key: str, kind: str, data: Any, about: str, run: str | None) -> None:
        known = reading.artifact_id(self.study.store, key)
        if known and self.prefect.update_artifact(known, data, about):
            return
        reading.remember_artifact(
            self.study.store, key, self.prefect.create_artifact(key, kind, data, about, run)
        )

    def _show_tags(self, story: Story, before: Kept | None, run: str | None) -> Sequence[str]:
        """A door shows the new wait at once; the tags follow here."""
        wanted = list(story.decision.tags)
        shown = list(before.shown_tags) if before else []
        if run is None or shown == wanted:
            return shown
        self.prefect.tag_if_there(run, wanted)
        return wanted

    def _tell(self, story: Story, before: Kept | None, run: str | None, now: datetime) -> dict[str, Any]:
        made: Card = card(story)
        seq, told = (before.told_seq, before.told) if before else (0, [])
        new = reading.log_after(self.study.store, story.code, seq) if story.seq > seq else []
        news = [(each, self._world(each)) for each in happenings(made, told, new, now)]
        recent = self.study.clock.wall(now) - NEWS
        self.prefect.tell(story.code, run, [pair for pair in news if pair[1] > recent])
        return {"told_seq": max(story.seq, seq), "told": sorted(standing(made))}

    def _world(self, happening: Happening) -> datetime:
        return self.study.clock.wall(happening.at)


def publisher(study: Runtime) -> UIPublisher:
    """A publisher with a connection of its own to the study's Prefect."""
    return UIPublisher(study, PrefectUI(study.prefect_api, 10.0))
