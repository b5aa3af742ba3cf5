"""The changes of an amendment for many subjects: found by the rules, in words, and as JSON types."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from itp_events.errors import ItpError
from itp_events.marks import marked
from itp_events.outputs.amendment import Amendment, Preview, Window, preview
from itp_events.outputs.plan_json import instant
from itp_events.protocol.model import Protocol, Site
from itp_events.rules.explain import at_site, day, days
from tasks.database.queries import SubjectRow, all_subjects, history
from tasks.database.store import Store


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes that a version would bring at an instant (UTC), of each subject that would move to it."""

    version: str
    at: datetime
    subjects: tuple[Preview, ...]


def would_change(
    store: Store, protocol: Protocol, version: str, rows: Sequence[SubjectRow], now: datetime
) -> Changes:
    """The changes for subjects when they are assigned to a version now, or on its first day if that is later.

    Raises:
        BadInput: the version is not installed.
    """
    on = protocol.of_version(version).effective_on
    begins = [protocol.site(row.site).midnight(on) for row in rows] if on else []
    at = max([now, *begins])
    found = (preview(protocol, history(store, row.code), version, at) for row in rows)
    return Changes(version, at, tuple(found))


def to_move(store: Store, version: str, site: str | None, codes: Sequence[str]) -> list[SubjectRow]:
    """The subjects that take part and follow another version; of one site, and of these codes, if given.

    Raises:
        ItpError: nobody of one of the codes is enrolled.
    """
    everybody = {row.code: row for row in all_subjects(store)}
    if unknown := [code for code in codes if code not in everybody]:
        raise ItpError(f"{', '.join(unknown)} not enrolled here; `itp subjects` lists who is")
    return [
        row
        for row in everybody.values()
        if not row.exited
        and row.protocol_version != version
        and site in (None, row.site)
        and (not codes or row.code in codes)
    ]


def document(changes: Changes) -> dict[str, Any]:
    """The changes as JSON types."""
    found = [_subject(each) for each in changes.subjects]
    return {"version": changes.version, "as_of": instant(changes.at), "subjects": found}


def _subject(each: Preview) -> dict[str, Any]:
    rows = change_rows(each)
    changes = [dict(zip(("about", "what", "today", "would_be"), row, strict=True)) for row in rows]
    return {"subject": each.code, "version": each.today.protocol.version, "changes": changes}


def change_rows(each: Preview) -> Iterable[Sequence[str]]:
    """The changes for one subject in words: about what, what of it, today, and as it would be."""
    site, now = each.today.subject.site, each.today.now
    for state in each.changes.state_changes:
        yield "", state.what, state.old or "none", state.new or "none"
    for code, old, new in windows(each.changes):
        yield code, "window", old, new
    for booking in each.bookings:
        words = {None: "no such visit", True: "inside the window", False: "outside the window"}
        yield booking.visit, "booking", day(booking.booked), words[booking.inside]
    for about, step, audience, old, new in notice_rows(each.changes, site, now):
        yield about, f"notice {step} to {audience}", old, new


def windows(amendment: Amendment) -> Iterable[Sequence[str]]:
    """The windows that change, in words: of which visit, today, and as it would be."""
    for change in amendment.visits:
        yield (
            change.code,
            _said(change.old, change.old_outcome),
            _said(change.new, change.new_outcome),
        )


def _said(window: Window | None, outcome: str | None) -> str:
    if window is None or outcome:
        return outcome or "none"
    span = marked(days(window.opens, window.closes), window.window_assumed)
    return f"{span}, target {marked(day(window.target), window.target_assumed)}"


def notice_rows(amendment: Amendment, site: Site, now: datetime) -> Iterable[Sequence[str]]:
    """The notices that change, in words: about what, step, audience, when today, and when it would be."""
    for change in amendment.notices:
        old = at_site(site, change.old) if change.old else "none"
        new = at_site(site, change.new) if change.new else "none"
        if change.old is None and change.new and change.new <= now:
            new = "at once"
        about = change.visit or change.criterion or ""
        yield about, change.step, change.audience, old, new
