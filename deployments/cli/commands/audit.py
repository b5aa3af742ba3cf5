"""`itp audit`: the audit trail for a review, with filters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast, get_args

import click

from deployments.auditing import COLUMNS, document, given_instant, row
from deployments.cli.opening import OpenStudy, open_to_read
from deployments.cli.output.sentences import stated
from deployments.cli.output.tables import console, print_json, table
from deployments.tables import ENCODING
from deployments.tables import table as csv_table
from itp_events.rules.explain import at_site
from tasks.audit.entries import Entry, Kind, Wanted
from tasks.audit.reading import audit
from tasks.database.event_log import Origin


@click.command("audit", short_help="What a review looks at: corrections, late entries, decisions, sign-ins.")
@click.option("--since", metavar="WHEN", help="A date at the site, or an instant with its offset.")
@click.option("--until", metavar="WHEN", help="As --since; itself not included.")
@click.option("--subject", metavar="CODE", help="Only what concerns one subject.")
@click.option("--site", metavar="SITE", help="Only one site's subjects.")
@click.option("--account", metavar="CODE", help="Only what this account did, or this person stated.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(get_args(Kind)), help="May be repeated.")
@click.option(
    "--late-days",
    type=click.IntRange(0, 3650),
    default=3,
    show_default=True,
    help="An entry is late from one day more on.",
)
@click.option(
    "--csv", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write a table to a file."
)
@click.option("--json", "as_json", is_flag=True, help="A JSON array, one object for each entry.")
def command(
    since: str | None,
    until: str | None,
    subject: str | None,
    site: str | None,
    account: str | None,
    kinds: Sequence[str],
    late_days: int,
    file: Path | None,
    as_json: bool,
) -> None:
    """List what a review of the study looks at, the oldest first.

    Corrections, late entries (reported more than so many days after their date), decisions, assessments,
    acknowledgements, signatures, refusals, exports, backups, sign-ins, changes of accounts and of settings,
    moves of the study, and repairs of flow runs. A correction that comes late is listed as both.

    \b
    Examples:
      itp audit --since 2026-03-01 --kind correction --kind late
      itp audit --account crc.li --csv audit.csv
    """
    with open_to_read() as study:
        local = study.protocol.site(site or "01")
        wanted = Wanted(
            given_instant(since, local, "--since"),
            given_instant(until, local, "--until"),
            subject,
            site,
            account,
            tuple(cast("Sequence[Kind]", kinds)),
            late_days,
        )
        entries = audit(study.store, study.protocol, wanted)
    if file is not None:
        file.write_text(csv_table(COLUMNS, map(row, entries)), encoding=ENCODING, newline="")
        click.echo(f"{file}: {_counted(entries)}")
    elif as_json:
        print_json([document(entry) for entry in entries])
    else:
        _print(study, entries)


def _print(study: OpenStudy, entries: Sequence[Entry]) -> None:
    out = console()
    if not entries:
        out.print("Nothing of what is asked for.")
        return
    rows = (
        (
            at_site(study.protocol.site(each.site or "01"), each.at),
            each.kind,
            each.subject or "",
            _by(each),
            _said(each),
        )
        for each in entries
    )
    columns = ("Recorded (site)", "Kind", "Subject", "By", "What")
    out.print(table(columns, rows, columns[:1]))
    out.print(_counted(entries))


def _by(entry: Entry) -> str:
    """The person as stated, else the account, with what stands beside."""
    return Origin(entry.actor, entry.door).after(entry.by or entry.actor or "").strip()


def _said(entry: Entry) -> str:
    if entry.event is None:
        return entry.what
    late = f", {entry.details['days']} days after its date" if entry.kind == "late" else ""
    return f"{stated(entry.event)}{late}"


def _counted(entries: Sequence[Entry]) -> str:
    return "1 entry" if len(entries) == 1 else f"{len(entries)} entries"
