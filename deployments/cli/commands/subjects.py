"""`itp subjects`: every subject with its state and its next date."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click
from rich.text import Text

from deployments.cli.opening import open_to_read
from deployments.cli.output.tables import console, print_json, table
from itp_events.outputs.plan_json import instant
from itp_events.protocol.model import Protocol
from itp_events.rules.explain import at_site, counted
from tasks.database.queries import SubjectRow, all_subjects

_WHEN = "Next (site time)"


@click.command("subjects", short_help="All subjects with their states.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array, one object for each subject.")
def command(as_json: bool) -> None:
    """List every subject: site, state, next step with its date, and whether a visit is overdue.

    \b
    Examples:
      itp subjects
      itp subjects --json
    """
    with open_to_read() as study:
        rows = all_subjects(study.store)
    if as_json:
        print_json([_document(row) for row in rows])
    else:
        _print(study.protocol, rows, study.now)


def _document(row: SubjectRow) -> dict[str, Any]:
    return {
        "subject": row.code,
        "site": row.site,
        "protocol_version": row.protocol_version,
        "status": row.status,
        "state": row.state,
        "message": row.message,
        "wake_at": instant(row.wake_at) if row.wake_at else None,
        "overdue": "overdue" in row.tags,
        "exited": row.exited,
    }


def _print(protocol: Protocol, rows: Sequence[SubjectRow], now: datetime) -> None:
    out = console()
    if not rows:
        out.print("Nobody is enrolled yet. Try: itp record --help")
        return
    columns = ("Subject", "Site", "State", "Overdue", _WHEN)
    out.print(table(columns, (_row(protocol, row, now) for row in rows), ("Subject", _WHEN)))
    overdue = sum("overdue" in row.tags for row in rows)
    live = sum(row.live for row in rows)
    out.print(f"{counted(len(rows), 'subject')}, {live} live, {overdue} with a visit overdue")


def _row(protocol: Protocol, row: SubjectRow, now: datetime) -> Sequence[str | Text]:
    site = protocol.site(row.site)
    overdue = Text("overdue", "bold red") if "overdue" in row.tags else ""
    return row.code, row.site, row.state, overdue, at_site(site, row.wake_at) if row.wake_at else "-"
