"""`itp protocol diff`: what another version would change for a subject, before it is assigned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from deployments.cli.opening import open_to_read
from deployments.cli.tables import at_site, console, heading, print_json, table
from itp_events.amendment import Amendment, Window, compare
from itp_events.document import instant
from itp_events.errors import ItpError
from itp_events.explain import day, days
from itp_events.protocol import Site
from itp_events.protocol_file import load_protocol
from itp_events.subject import fold
from tasks.queries import log_lines, subject


@click.command("diff", short_help="What another version would change for a subject.")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--subject", "code", required=True, metavar="CODE", help="A subject of the running study.")
@click.option("--json", "as_json", is_flag=True, help="The changed visits and notices as one JSON object.")
def command(old: Path, new: Path, code: str, as_json: bool) -> None:
    """Show which dates and notices of a subject change when NEW takes the place of OLD.

    Nothing is recorded. To move the subject, put NEW into the folder that ITP_PROTOCOL names and record
    itp.protocol.assigned with its version.

    \b
    Example:
      itp protocol diff protocols/v1.yaml protocols/v2.yaml --subject ITP-007
    """
    before, after = load_protocol(old), load_protocol(new)
    with open_to_read() as study:
        if subject(study.store, code) is None:
            raise ItpError(f"{code} is not enrolled here; `itp subjects` lists who is")
        facts = [line.event for line in log_lines(study.store, code) if not line.event.own]
        site = fold(study.protocol, [line.event for line in log_lines(study.store, code)]).site
        found = compare(before, after, facts, study.now)
    if as_json:
        print_json({"subject": code, "old": before.version, "new": after.version} | _document(found))
    else:
        _print(console(), f"{code}: version {before.version} -> {after.version}", found, site)


def _print(out: Console, title: str, found: Amendment, site: Site) -> None:
    heading(out, title)
    if not found.visits and not found.notices:
        out.print("No date and no notice changes.")
    if found.visits:
        out.print(table(("Visit", "Today", "Would be"), _windows(found), ("Visit",)))
    if found.notices:
        whens = ("Today (site)", "Would be (site)")
        out.print(table(("Visit", "Notice", "To", *whens), _notices(found, site), whens))


def _windows(found: Amendment) -> Iterable[Sequence[str]]:
    return ((change.code, _said(change.old), _said(change.new)) for change in found.visits)


def _said(window: Window | None) -> str:
    if window is None:
        return "none"
    opens, target, closes = window
    return f"{days(opens, closes)}, target {day(target)}"


def _notices(found: Amendment, site: Site) -> Iterable[Sequence[str]]:
    for change in found.notices:
        yield change.visit or "", change.step, change.audience, _due(site, change.old), _due(site, change.new)


def _due(site: Site, due: datetime | None) -> str:
    return at_site(site, due) if due else "none"


def _document(found: Amendment) -> dict[str, Any]:
    return {
        "visits": [
            {"code": change.code, "old": _dates(change.old), "new": _dates(change.new)}
            for change in found.visits
        ],
        "notices": [
            {
                "visit": change.visit,
                "step": change.step,
                "audience": change.audience,
                "old": instant(change.old) if change.old else None,
                "new": instant(change.new) if change.new else None,
            }
            for change in found.notices
        ],
    }


def _dates(window: Window | None) -> dict[str, str] | None:
    if window is None:
        return None
    return dict(zip(("opens", "target", "closes"), (each.isoformat() for each in window), strict=True))
