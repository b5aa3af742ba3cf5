"""The table of a subject's notices on its page: recipients, and whether each notice arrived."""

from __future__ import annotations

from datetime import datetime

from itp_events.protocol.model import Site
from itp_events.rules.explain import counted
from tasks.board.markdown import in_brackets, plain, table
from tasks.board.story import Story
from tasks.board.words import on, step
from tasks.database.queries import NoticeRow

NOTICES_SHOWN = 60


def sent(story: Story) -> str:
    """The subject's notices, the latest first, each with its outcome."""
    latest = sorted(story.notices, key=lambda each: (each.due, each.key), reverse=True)
    rows = (_notice(story, each) for each in latest[:NOTICES_SHOWN])
    more = len(latest) - NOTICES_SHOWN
    older = f"\n\n{more} older ones: `itp show {story.code}`" if more > 0 else ""
    return table(("Due (site)", "Visit", "What", "To", "Outcome"), rows) + older


def _notice(story: Story, notice: NoticeRow) -> tuple[str, ...]:
    due = at_site(story.subject_state.subject.site, notice.due)
    what = step(notice.step) + in_brackets(notice.facts.get("ae"))
    return due, notice.visit or "", what, notice.audience, _outcome(story, notice)


def _outcome(story: Story, notice: NoticeRow) -> str:
    """The outcome of a notice in words: arrived at all its recipients, at some of them, or not sent."""
    outcome = story.record.outcome(notice)
    repeated = ", possibly repeated" if outcome.repeated else ""
    failed = counted(outcome.without_success, "send")
    lost = f"**not delivered**, {failed} failed" if outcome.without_success else ""
    if outcome.arrived_at:
        of = f" at {len(outcome.arrived_by)} of {outcome.recipients}" if lost else ""
        at = at_site(story.subject_state.subject.site, outcome.arrived_at)
        return "; ".join(filter(None, [f"arrived{of} {at}{repeated}", lost]))
    if lost:
        return lost
    words = {"queued": "waits to be sent", "withdrawn": "not sent", "delivered": "no longer sent"}
    return ": ".join(filter(None, [words[notice.status], plain(notice.reason or "")]))


def at_site(site: Site, instant: datetime) -> str:
    """An instant by the site's clocks, as `Mon 19 Jan 2026 09:00`."""
    local = instant.astimezone(site.zone)
    return f"{on(local.date())} {local:%H:%M}"
