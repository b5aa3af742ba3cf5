"""Cards that are made ahead of their pages: digests use them, and pages stay behind."""

from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itp_events.events import Event
from tasks.board import keeping, reading
from tasks.board.cards import card
from tasks.board.reading import Shown
from tasks.board.story import story
from tasks.database.queries import subject
from tests.support.databases import migrated_sqlite
from tests.support.study import Study
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("DIG-01")

MORNING = datetime.fromisoformat("2026-01-14T00:20:00+00:00")


def show(desk: Desk, code: str, now: datetime) -> None:
    """What the publisher does once Prefect shows a subject."""
    keeping.keep(desk.store, story(desk.store, desk.protocol, code, now), Shown(["epoch:treatment"], 3), now)


def make_ahead(desk: Desk, now: datetime) -> None:
    for code in reading.behind(desk.store, now):
        keeping.keep_ahead(desk.store, story(desk.store, desk.protocol, code, now), now)


def test_a_card_made_ahead_is_not_behind_and_its_page_is(desk: Desk, study: Study) -> None:
    desk.take(study.enrol("2026-01-05"), study.done("INF1", "2026-01-05"))
    make_ahead(desk, MORNING)
    assert reading.behind(desk.store, MORNING) == []
    assert reading.stale(desk.store, MORNING, 10) == ["ITP-001"]
    show(desk, "ITP-001", MORNING)
    assert reading.stale(desk.store, MORNING, 10) == []


def test_a_card_made_ahead_forgets_nothing_of_what_prefect_was_shown(desk: Desk, study: Study) -> None:
    desk.take(study.enrol("2026-01-05"))
    show(desk, "ITP-001", study.instant("2026-01-05 13:00"))
    desk.take(study.done("INF1", "2026-01-05"))
    make_ahead(desk, MORNING)
    kept = reading.kept(desk.store, "ITP-001")
    assert kept is not None
    assert (kept.shown.tags, kept.shown.told_seq) == (["epoch:treatment"], 3)
    assert kept.card is None, "Prefect shows the card before this one"


def test_an_event_of_the_same_instant_makes_a_card_behind(desk: Desk, study: Study) -> None:
    """Of two decisions at one instant the second sends nothing: the last line of the log tells them apart."""
    desk.take(study.enrol("2026-01-05"), now=MORNING)
    make_ahead(desk, MORNING)
    desk.take(study.event("itp.visit.unscheduled", "2026-01-05", reason="bleeding"), now=MORNING)
    assert reading.behind(desk.store, MORNING) == ["ITP-001"]
    assert reading.stale(desk.store, MORNING, 10) == ["ITP-001"]


def test_a_wake_makes_a_card_behind_when_it_comes_and_once_it_was_decided_upon(
    desk: Desk, study: Study
) -> None:
    desk.take(study.enrol("2026-01-05"), study.done("INF1", "2026-01-05"))
    silent = 0
    for _ in range(30):
        before = subject(desk.store, "ITP-001")
        assert before is not None
        assert before.wake_at is not None
        make_ahead(desk, before.advanced_at)
        assert reading.behind(desk.store, before.wake_at) == ["ITP-001"]
        desk.wake("ITP-001", before.wake_at)
        assert reading.behind(desk.store, before.wake_at) == ["ITP-001"]
        after = subject(desk.store, "ITP-001")
        silent += after is not None and after.log_end == before.log_end
    assert silent, "no wake decided without a line of the log"


class OneSubject:
    """A subject to whom things happen, an hour or a day after each other, and whose card is made."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.study, self.now = desk, Study(), MORNING
        self._visits = iter(["INF1", "INF2", "INF3", "INF4", "INF5"])
        desk.take(self.study.enrol("2026-01-12", at="2026-01-12 11:00"))

    def show(self) -> None:
        show(self.desk, "ITP-001", self.now)

    def make_ahead(self) -> None:
        make_ahead(self.desk, self.now)

    def come(self) -> None:
        if visit := next(self._visits, None):
            self.desk.take(self._stated("itp.visit.completed", visit=visit))

    def stay_away(self) -> None:
        self.desk.take(self._stated("itp.contact.attempted", reached=False))

    def wake(self) -> None:
        self.desk.wake("ITP-001", self.now)

    def send(self) -> None:
        self.desk.hand_over(self.now)

    def sleep(self) -> None:
        self.now += timedelta(days=1)

    def _stated(self, kind: str, **data: Any) -> Event:
        return self.study.event(kind, f"{self.study.site.date_of(self.now)}", self.now, **data)


STEPS = st.sampled_from(["show", "make_ahead", "come", "stay_away", "wake", "send", "sleep"])


@given(steps=st.lists(STEPS, min_size=1, max_size=10))
@settings(max_examples=30)
def test_a_kept_card_is_used_where_making_it_anew_would_give_the_same(steps: list[str]) -> None:
    """However cards are made, shown and overtaken, fresh cards are those that would be made now."""
    with TemporaryDirectory() as folder:
        desk = Desk.open(migrated_sqlite(Path(folder) / "study.db"))
        desk.configure(Path(folder) / "apprise.txt", "coordinator=json://127.0.0.1:9/")
        one = OneSubject(desk)
        for step in steps:
            one.now += timedelta(hours=1)
            getattr(one, step)()
            made = card(story(desk.store, desk.protocol, "ITP-001", one.now))
            assert reading.fresh_cards(desk.store, desk.protocol, one.now) == [made]
            behind, stale = reading.behind(desk.store, one.now), reading.stale(desk.store, one.now, 10)
            assert set(behind) <= set(stale), "a page is behind with its card"
        desk.store.close()
