"""`itp export`: the study's whole record, for data managers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from deployments.bootstrap.os_user import os_actor
from deployments.cli.errors import FAILED
from deployments.cli.opening import open_to_read
from deployments.cli.output.progress import growing_bar, progress_bar
from deployments.cli.output.tables import console, print_json, table
from itp_events.rules.explain import counted
from tasks.database import service_log
from tasks.database.event_log import Origin


@click.command("export", short_help="The study's whole record as files.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object: how many lines each file holds.")
def command(folder: Path, as_json: bool) -> None:
    """Write the study's whole record into DIR, a new or empty folder.

    events.jsonl holds what people stated, and `itp plan` accepts it; log.jsonl also holds what the
    service decided, each line with its place in the subject's log and the instant of recording.
    sv.csv, ds.csv and dv.csv are the visits, dispositions and deviations in SDTM, suppdv.csv how
    important a deviation is. response.csv grades the platelets of each visit, response_course.csv
    says when a response was confirmed, lost and sustained. notices.csv and attempts.csv say what
    was sent to whom and what became of it; screening.csv lists the refused enrolments.
    unreadable.csv names the subjects that could not be read, and why. The service may run
    meanwhile.

    The record is verified first, as itp verify does. manifest.json says what was found, and has the
    SHA-256 of each file; seal.txt is the newest seal. Exit code 1 when something was found: the
    files are there all the same.

    Values stand as they were stated, but for one apostrophe before what a spreadsheet would run as
    a formula.

    \b
    Examples:
      itp export 2026-03-01
      itp export /srv/handover --json
    """
    from deployments.export import MANIFEST, export
    from tasks.database.queries import all_subjects
    from tasks.database.verifications import not_recorded
    from tasks.integrity.verify import verify

    with open_to_read() as study:
        with growing_bar("rows") as checked:
            report = verify(study.store, checked)
        with progress_bar("subjects", len(all_subjects(study.store))) as progress:
            written = export(study.store, study.protocol, study.now, folder, report, progress)
        details = {"findings": len(report.findings), "lines": sum(written.values())}
        with study.store.writing() as connection:
            origin = Origin(os_actor(), "cli")
            service_log.note(connection, "exported", folder.name, origin, study.now, details)
    print_json(written) if as_json else _print(folder, written)
    if report.findings:
        said = not_recorded(len(report.findings))
        click.echo(f"{said}: {report.findings[0]}; itp verify and {folder / MANIFEST} name all", err=True)
        raise click.exceptions.Exit(FAILED)


def _print(folder: Path, written: Mapping[str, int]) -> None:
    if written["unreadable.csv"]:
        said = f"{counted(written['unreadable.csv'], 'subject')} could not be read: see unreadable.csv"
        click.echo(said, err=True)
    rows = [(f"{folder / name}", f"{count:,}") for name, count in written.items()]
    console().print(table(("File", "Lines"), rows))
