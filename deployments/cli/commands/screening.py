"""`itp screening`: the screening log, with every refused enrolment and its reasons."""

from __future__ import annotations

from collections.abc import Sequence

import click

from deployments.cli.opening import open_to_read
from deployments.cli.output.tables import LEGEND, console, print_json, table
from itp_events.marks import MARK
from itp_events.outputs.plan_json import instant
from itp_events.rules.explain import counted, day
from tasks.database.queries import ScreeningRow, screening_refusals


@click.command("screening", short_help="Refused enrolments, and their unmet criteria.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array, one object for each refusal.")
def command(as_json: bool) -> None:
    """Print the screening log: every refused enrolment with its code, its date and the unmet criteria.

    \b
    Examples:
      itp screening
      itp screening --json
    """
    with open_to_read() as study:
        rows = screening_refusals(study.store)
    if as_json:
        print_json([_document(row) for row in rows])
    else:
        _print(rows)


def _document(row: ScreeningRow) -> dict[str, object]:
    on, at = row.on.isoformat(), instant(row.recorded_at)
    return {"subject": row.subject, "on": on, "unmet": list(row.unmet), "recorded_at": at}


def _print(rows: Sequence[ScreeningRow]) -> None:
    out = console()
    if not rows:
        out.print("No enrolment has been refused.")
        return
    columns = ("Subject", "Enrolment", "Not met")
    # One criterion a line: only the first says whose.
    lines = (
        (row.subject, day(row.on), said) if place == 0 else ("", "", said)
        for row in rows
        for place, said in enumerate(row.unmet)
    )
    out.print(table(columns, lines, columns[:2]))
    if any(MARK in said for row in rows for said in row.unmet):
        out.print(LEGEND)
    out.print(f"{counted(len(rows), 'enrolment')} refused")
