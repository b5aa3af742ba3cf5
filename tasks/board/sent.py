"""What was sent of a subject, to whom, and whether it arrived."""

from __future__ import annotations

from datetime import datetime

from itp_events.protocol.model import Site
from tasks.board.cards import Story
from tasks.board.markdown import counted, plain, table
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
    return due, notice.visit or "", step(notice.step), notice.audience, _outcome(story, notice)


def _outcome(story: Story, notice: NoticeRow) -> str:
    """Whether it arrived, at every recipient or at how many of those whom it was sent to."""
    last = {each.recipient: each for each in story.tries(notice)}
    arrived = [each.ended_at for each in last.values() if each.outcome == "sent" and each.ended_at]
    repeated = ", possibly repeated" if any(each.repeated for each in last.values()) else ""
    failures = story.failures(notice)
    lost = f"**not delivered**, {counted(failures, 'send')} failed" if failures else ""
    if arrived:
        of = f" at {len(arrived)} of {len(last)}" if lost else ""
        found = f"arrived{of} {at_site(story.subject_state.subject.site, max(arrived))}{repeated}"
        return "; ".join(filter(None, [found, lost]))
    if lost:
        return lost
    words = {"queued": "waits to be sent", "withdrawn": "not sent", "delivered": "no longer sent"}
    return ": ".join(filter(None, [words[notice.status], plain(notice.reason or "")]))


def at_site(site: Site, instant: datetime) -> str:
    """An instant by the site's clocks, as `Mon 19 Jan 2026 09:00`."""
    local = instant.astimezone(site.zone)
    return f"{on(local.date())} {local:%H:%M}"
