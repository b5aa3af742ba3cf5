"""`itp protocol diff`: the changes that another version would bring to a subject."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from deployments.amending.changes import notice_rows, windows
from deployments.cli.opening import open_to_read
from deployments.cli.output.tables import LEGEND, console, heading, print_json, table
from itp_events.errors import ItpError
from itp_events.outputs.amendment import Amendment, Window, compare
from itp_events.outputs.plan_json import instant
from itp_events.protocol.file import load_protocol
from itp_events.protocol.model import Site
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
        out.print(table(("Visit", "Today", "Would be"), windows(amendment), ("Visit",)))
        if any(_rests(window) for change in amendment.visits for window in (change.old, change.new)):
            out.print(LEGEND)
    if amendment.notices:
        heading(out, "Notices")
        whens = ("Today (site)", "Would be (site)")
        out.print(table(("About", "Notice", "To", *whens), notice_rows(amendment, site, now), whens))


def _rests(window: Window | None) -> bool:
    return window is not None and (window.target_assumed or window.window_assumed)


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
