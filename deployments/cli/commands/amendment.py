"""`itp protocol diff`: the changes that another version would bring to a subject."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from deployments.cli.opening import open_to_read
from deployments.cli.output.tables import LEGEND, at_site, console, heading, print_json, table
from itp_events.errors import ItpError
from itp_events.marks import marked
from itp_events.outputs.amendment import Amendment, Preview, Window, compare
from itp_events.outputs.plan_json import instant
from itp_events.protocol.file import load_protocol
from itp_events.protocol.model import Site
from itp_events.rules.explain import day, days
from itp_events.rules.subject import fold
from tasks.database.queries import codes_near, log_lines, subject


@click.command("diff", short_help="The changes of another version for a subject.")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--subject", "code", required=True, metavar="CODE", help="A subject of the running study.")
@click.option("--json", "as_json", is_flag=True, help="The changed visits and notices as one JSON object.")
def command(old: Path, new: Path, code: str, as_json: bool) -> None:
    """Show what changes for a subject - dates, notices, flags, dose - when NEW takes the place of OLD.

    Nothing is recorded. To move the subject, put NEW into the folder that ITP_PROTOCOL names and record
    itp.protocol.assigned with its version.

    \b
    Example:
      itp protocol diff protocols/v1.yaml protocols/v2.yaml --subject ITP-007
    """
    before, after = load_protocol(old), load_protocol(new)
    with open_to_read() as study:
        row = subject(study.store, code)
        if row is None:
            near = codes_near(study.store, code) or ";"
            raise ItpError(f"{code} is not enrolled here{near} `itp subjects` lists who is")
        facts = [line.event for line in log_lines(study.store, code) if not line.event.own]
        site = fold(study.protocol, [line.event for line in log_lines(study.store, code)]).site
        amendment = compare(before, after, facts, study.now)
    if as_json:
        versions = {"old": before.version, "new": after.version, "today": row.protocol_version}
        print_json({"subject": code} | versions | _document(amendment))
        return
    out = console()
    heading(out, f"{code}: version {before.version} -> {after.version}")
    if row.protocol_version != before.version:
        out.print(f"Note: {code} follows version {row.protocol_version}, not {before.version}.")
    if row.exited:
        out.print(f"Note: participation of {code} has ended; it can be assigned to no other version.")
    _print(out, amendment, site, study.now)


def _print(out: Console, amendment: Amendment, site: Site, now: datetime) -> None:
    if amendment == Amendment((), ()):
        out.print("Nothing changes: no date, no notice, nothing of the subject's state.")
    if amendment.state_changes:
        rows = ((each.what, each.old or "none", each.new or "none") for each in amendment.state_changes)
        out.print(table(("What", "Today", "Would be"), rows, ("What",)))
    if amendment.visits:
        heading(out, "Dates")
        out.print(table(("Visit", "Today", "Would be"), _windows(amendment), ("Visit",)))
        if any(_rests(window) for change in amendment.visits for window in (change.old, change.new)):
            out.print(LEGEND)
    if amendment.notices:
        heading(out, "Notices")
        whens = ("Today (site)", "Would be (site)")
        out.print(table(("About", "Notice", "To", *whens), _notices(amendment, site, now), whens))


def change_rows(each: Preview) -> Iterable[Sequence[str]]:
    """The changes for one subject in words: about what, what of it, today, and as it would be."""
    site, now = each.today.subject.site, each.today.now
    for state in each.changes.state_changes:
        yield "", state.what, state.old or "none", state.new or "none"
    for code, old, new in _windows(each.changes):
        yield code, "window", old, new
    for booking in each.bookings:
        words = {None: "no such visit", True: "inside the window", False: "outside the window"}
        yield booking.visit, "booking", day(booking.booked), words[booking.inside]
    for about, step, audience, old, new in _notices(each.changes, site, now):
        yield about, f"notice {step} to {audience}", old, new


def _windows(amendment: Amendment) -> Iterable[Sequence[str]]:
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


def _rests(window: Window | None) -> bool:
    return window is not None and (window.target_assumed or window.window_assumed)


def _notices(amendment: Amendment, site: Site, now: datetime) -> Iterable[Sequence[str]]:
    for change in amendment.notices:
        old = at_site(site, change.old) if change.old else "none"
        new = at_site(site, change.new) if change.new else "none"
        if change.old is None and change.new and change.new <= now:
            new = "at once"
        about = change.visit or change.criterion or ""
        yield about, change.step, change.audience, old, new


def _document(amendment: Amendment) -> dict[str, Any]:
    return {
        "standing": [
            {"what": change.what, "old": change.old, "new": change.new} for change in amendment.state_changes
        ],
        "visits": [
            {
                "code": change.code,
                "old": _dates(change.old),
                "new": _dates(change.new),
                "outcome": {"old": change.old_outcome, "new": change.new_outcome},
            }
            for change in amendment.visits
        ],
        "notices": [
            {
                "visit": change.visit,
                "step": change.step,
                "audience": change.audience,
                "criterion": change.criterion,
                "old": instant(change.old) if change.old else None,
                "new": instant(change.new) if change.new else None,
            }
            for change in amendment.notices
        ],
    }


def _dates(window: Window | None) -> dict[str, str] | None:
    if window is None:
        return None
    return {name: getattr(window, name).isoformat() for name in ("opens", "target", "closes")}
