"""`itp verify`: whether every row of the record is what was recorded."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import click
from sqlalchemy.exc import DBAPIError

from deployments.bootstrap.clock import Clock
from deployments.bootstrap.settings import load_settings
from deployments.cli.errors import FAILED
from deployments.cli.opening import refuse_to_begin
from deployments.cli.output.progress import growing_bar
from deployments.cli.output.tables import print_json
from itp_events.rules.explain import counted
from tasks.database.schema import instant_text
from tasks.database.store import Store
from tasks.database.verifications import note_verification
from tasks.integrity.held import held_seals
from tasks.integrity.stamps import Stamp, trusted_roots
from tasks.integrity.verify import Report, verify


@click.command("verify", short_help="Check that every row of the record is what was recorded.")
@click.option(
    "--seal",
    "file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file with lines of seals that somebody kept elsewhere, as a saved message.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object: ok, findings, seal, stamp, record.")
def command(file: Path | None, as_json: bool) -> None:
    """Check that every row of the record is what was recorded: no row changed, dropped, added, or cut off.

    Each finding is one line: the table, the row, and what is wrong. It changes nothing of the record, and the
    service may run meanwhile. Exit code 1 when it finds something.

    A seal that somebody keeps elsewhere shows more: that the whole record up to it was not written anew. The
    newest seal is printed at the end. Keep it. Time-stamps of seals are checked too, with the certificates
    that ITP_STAMP_ROOTS names.

    \b
    Examples:
      itp verify
      itp verify --seal messages.txt
      itp verify --json
    """
    settings = load_settings()
    refuse_to_begin(settings)
    store = Store.unmigrated(settings.database)
    try:
        with growing_bar("rows") as progress:
            held = held_seals(file) if file else ()
            report = verify(store, progress, held, trusted_roots(settings.stamp_roots))
        with suppress(DBAPIError):
            # A database of an older version, or one that was spoilt, may have no place for it.
            note_verification(store, Clock().now(), [str(each) for each in report.findings])
    finally:
        store.close()
    _print_json(report) if as_json else _print(report)
    if report.findings:
        raise click.exceptions.Exit(FAILED)


def _print(report: Report) -> None:
    for each in report.findings:
        click.echo(str(each))
    logs = f"{counted(report.events, 'event')} of {counted(report.subjects, 'subject')}"
    found = counted(len(report.findings), "finding") if report.findings else "nothing found"
    click.echo(f"{counted(report.rows, 'row')}, {logs}: {found}")
    click.echo(f"The newest {report.seal.told}" if report.seal else "There is no seal yet: itp up makes one.")
    if report.stamp:
        click.echo(f"Seal {report.stamp.seal} was time-stamped at {report.stamp.at:%Y-%m-%d %H:%M:%S} UTC.")


def _stamp(stamp: Stamp | None) -> dict[str, object] | None:
    return {"seal": stamp.seal, "at": instant_text(stamp.at)} if stamp else None


def _print_json(report: Report) -> None:
    print_json(
        {
            "ok": not report.findings,
            "findings": [asdict(each) | {"line": str(each)} for each in report.findings],
            "rows": report.rows,
            "subjects": report.subjects,
            "events": report.events,
            "record": report.record,
            "seal": report.seal.told if report.seal else None,
            "stamp": _stamp(report.stamp),
        }
    )
