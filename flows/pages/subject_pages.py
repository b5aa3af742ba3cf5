"""One subject in Prefect's UI: its page and progress, the tags and log of its flow run, its events.

The board, which shows everybody, is in `flows.pages.board_page`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from flows.pages.artifacts import Artifacts
from flows.study.runtime import Runtime
from tasks.board import keeping, links, reading
from tasks.board.cards import Card, card
from tasks.board.happenings import happenings, open_problems
from tasks.board.reading import Kept, Shown
from tasks.board.story import Story, story
from tasks.board.subject_page import subject_page

# Prefect keeps events for a week; older ones are not posted.
NEWS = timedelta(days=7)


@dataclass(frozen=True)
class _Showing:
    """One subject as it is about to be shown: its story and card now, and its card as it was kept."""

    story: Story
    card: Card
    before: Kept

    @property
    def code(self) -> str:
        return self.story.code

    @property
    def run(self) -> str | None:
        return self.story.record.flow_run_id


_NOTHING_KEPT = Kept(None, Shown())


@dataclass(frozen=True)
class SubjectPages:
    """Shows subjects of one study in one Prefect."""

    study: Runtime
    artifacts: Artifacts

    def show(self, code: str, now: datetime) -> Card:
        """Show a subject as of `now` (UTC, the study's time), and tell the events since the last time.

        Returns its card. It is kept, with a note of the tags and events that Prefect has been given.

        Raises:
            PrefectProblem: Prefect does not answer, or refuses; the card stays as it was kept.
        """
        told = story(self.study.store, self.study.protocol, code, now)
        before = reading.kept(self.study.store, code) or _NOTHING_KEPT
        showing = _Showing(told, card(told), before)
        self._show_page(showing)
        self._lead_from_run(showing)
        self._show_progress(showing)
        shown = Shown(self._show_tags(showing), *self._tell(showing, now))
        return keeping.keep(self.study.store, told, shown, now)

    def _show_page(self, showing: _Showing) -> None:
        code, run, pages = showing.code, showing.run, self.study.channels.links
        page = subject_page(
            showing.story,
            pages.picture(code) if pages else None,
            self.artifacts.address(links.BOARD),
            links.flow_run(run) if run else None,
            pages.decide(code) if pages else None,
        )
        about = f"{code}: {showing.card['state']}"
        self.artifacts.show(links.plan_key(code), "markdown", page, about, run)

    def _lead_from_run(self, showing: _Showing) -> None:
        """Write two lines that lead to the pages into the log of a flow run.

        A run that waits shows none of its artifacts, but its log.
        """
        run, kept = showing.run, links.key("log", showing.code)
        plan, board = (self.artifacts.address(each) for each in (links.plan_key(showing.code), links.BOARD))
        led = f"{run}:{self.artifacts.id(links.plan_key(showing.code))}"
        if run is None or plan is None or self.artifacts.id(kept) == led:
            return
        page = self.artifacts.prefect.page
        lines = [f"Plan of {showing.code}, and who must do what: {page(plan)}"]
        if board:
            lines.append(f"All subjects, on the study's board: {page(board)}")
        self.artifacts.prefect.log(run, lines, self.study.wall())
        self.artifacts.remember(kept, led)

    def _show_progress(self, showing: _Showing) -> None:
        code, before, reached = showing.code, showing.before.card, showing.card["progress"]
        key = links.progress_key(code)
        if before is None or before["progress"] != reached or self.artifacts.id(key) is None:
            self.artifacts.show(key, "progress", reached, f"Visits of {code} settled", showing.run)

    def _show_tags(self, showing: _Showing) -> list[str]:
        """Show the tags on the flow run, where they changed; return the tags that it shows then.

        A door shows the new wait at once, without its tags.
        """
        wanted, shown = showing.card["tags"], list(showing.before.shown.tags)
        if showing.run is None or shown == wanted:
            return shown
        self.artifacts.prefect.tag_if_there(showing.run, wanted)
        return wanted

    def _tell(self, showing: _Showing, now: datetime) -> tuple[int, list[str]]:
        """Post the events since the last time; return the number of the last line told, and the keys told."""
        record, before = showing.story.record, showing.before.shown
        new = [line for line in record.log if line.seq > before.told_seq]
        wall = self.study.clock.wall
        news = [(each, wall(each.at)) for each in happenings(showing.card, before.told, new, now)]
        recent = wall(now) - NEWS
        self.artifacts.prefect.tell(showing.code, showing.run, [pair for pair in news if pair[1] > recent])
        return max(record.seq, before.told_seq), sorted(open_problems(showing.card))
