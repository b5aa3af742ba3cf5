"""`itp amendment`: another protocol version for many subjects, seen before and applied in one step."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from deployments.amending.changes import change_rows, document, to_move, would_change
from deployments.amending.page import page
from deployments.bootstrap.clock import Clock
from deployments.bootstrap.os_user import os_actor
from deployments.bootstrap.settings import load_settings
from deployments.bootstrap.study import open_study
from deployments.cli.afterwards import hand_over_of
from deployments.cli.commands.record import at_the_machine
from deployments.cli.errors import BAD_INPUT, say
from deployments.cli.given_passwords import PASSWORD_FILE, SECOND_FACTOR, given_password
from deployments.cli.opening import open_to_read
from deployments.cli.output.tables import console, heading, print_json, table
from flows.study.recording import follow_up, show
from flows.study.roles import Sender, SigningAtTheMachine
from flows.study.runtime import Runtime
from itp_events.errors import BadInput, ItpError
from itp_events.events import Event, ProtocolAssigned
from itp_events.outputs.amendment import Preview
from itp_events.rules.explain import counted
from tasks.accounts.sessions import Attempt, prove
from tasks.database.queries import SubjectRow

SOURCE = "amendment"
_COLUMNS = ("Subject", "About", "What", "Today", "Would be")


@click.group("amendment", short_help="Preview and apply another protocol version.")
def command() -> None:
    """Preview what an installed protocol version changes for the subjects, and move them to it.

    \b
    Examples:
      itp amendment preview 2
      itp amendment apply 2 --reason "amendment 1, approved 3 March" --by crc.li
    """


def _chosen(call: Any) -> Any:
    call = click.option("--site", help="The subjects of one site.")(call)
    call = click.option("--subject", "codes", multiple=True, metavar="CODE", help="One subject; repeatable.")(
        call
    )
    return click.argument("version")(call)


@command.command("preview")
@_chosen
@click.option("--json", "as_json", is_flag=True, help="All changes as one JSON object.")
@click.option(
    "--csv", "report", type=click.Path(path_type=Path, dir_okay=False), help="Write them to a file."
)
@click.option(
    "--html", "shown", type=click.Path(path_type=Path, dir_okay=False), help="Write a report to a file."
)
def show_preview(
    version: str,
    site: str | None,
    codes: tuple[str, ...],
    as_json: bool,
    report: Path | None,
    shown: Path | None,
) -> None:
    """Show what changes for every subject - windows, notices, bookings - if it were assigned to VERSION.

    Before the version is in force, the changes are those of its first day. Nothing is recorded.

    \b
    Examples:
      itp amendment preview 2
      itp amendment preview 2 --site 01 --csv amendment-2.csv
      itp amendment preview 2 --html amendment-2.html
    """
    with open_to_read() as study:
        study.protocol.of_version(version)
        rows = to_move(study.store, version, site, codes)
        found = would_change(study.store, study.protocol, version, rows, study.now)
    if report:
        _write(report, found.subjects)
    if shown:
        written(shown, page(found, study.protocol))
    if as_json:
        print_json(document(found))
        return
    _print(version, found.subjects)


@command.command("apply")
@_chosen
@click.option("--reason", required=True, help="Why, as `amendment 1, approved on 3 March`.")
@click.option("--by", help="Who assigns the version, where nobody signs.")
@click.option("--as", "code", metavar="ACCOUNT", help="The account that signs each assignment.")
@PASSWORD_FILE
@SECOND_FACTOR
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="The answers as one JSON object.")
def apply(
    version: str,
    site: str | None,
    codes: tuple[str, ...],
    reason: str,
    by: str | None,
    code: str | None,
    password_file: Path | None,
    second_factor: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Assign VERSION to every subject that takes part and follows another one.

    The changes are shown first, and asked about. Each subject has its own event, recorded by itself. A step
    that was interrupted is resumed by the same command: who follows VERSION already is left alone.

    \b
    Example:
      itp amendment apply 2 --site 01 --reason "amendment 1, approved 3 March" --by crc.li
      itp amendment apply 2 --reason "amendment 1, approved 3 March" --as inv.wu
    """
    if (by is None) == (code is None):
        raise BadInput("say who assigns the version, or which account signs: one of the two", "--by, --as")
    study = open_study(load_settings())
    try:
        study.protocol.of_version(version)
        rows = to_move(study.store, version, site, codes)
        found = would_change(study.store, study.protocol, version, rows, study.clock.now())
        if not as_json:
            _print(version, found.subjects)
        if not rows:
            return
        if not yes:
            click.confirm(f"Assign version {version} to {len(rows)} subjects?", abort=True, err=True)
        sender: Sender = at_the_machine()
        if code is not None:
            given = given_password(password_file)
            attempt = Attempt(code, given, second_factor, os_actor(), Clock().now())
            account = prove(study.store, attempt)
            sender, by = SigningAtTheMachine(account), account.code
        data = ProtocolAssigned(by=str(by), version=version, reason=reason)
        refused = assign(study, rows, data, sender, as_json=as_json)
    finally:
        study.store.close()
    if refused:
        raise click.exceptions.Exit(BAD_INPUT)


def assign(
    study: Runtime, rows: Sequence[SubjectRow], data: ProtocolAssigned, sender: Sender, *, as_json: bool
) -> int:
    """Record one event for each subject, each in a transaction of its own; return the number of refusals."""
    answers: list[dict[str, Any]] = []
    digest = hashlib.sha256()
    for number, row in enumerate(rows, 1):
        now = study.clock.now()
        # The place in the log tells this assignment from one that was voided.
        event = Event(f"{data.version}/{row.code}/{row.seq}", SOURCE, row.code, now, data)
        (answer,) = study.record([event], now, sender=sender)
        follow_up([answer], hand_over_of(study), partial(show, study))
        error = str(answer.error) if answer.error else None
        answers.append({"subject": row.code, "status": answer.status, "id": event.id, "message": error})
        digest.update(json.dumps(event.to_json(), sort_keys=True).encode() + b"\n")
        if not as_json:
            click.echo(
                f"{number} of {len(rows)}  {row.code}  {answer.status}" + (f"  {error}" if error else "")
            )
    refused = [each for each in answers if each["status"] == "refused"]
    if as_json:
        print_json({"version": data.version, "sha256": digest.hexdigest(), "answers": answers})
    else:
        click.echo(
            f"{len(rows) - len(refused)} assigned, {len(refused)} refused; sha256 {digest.hexdigest()}"
        )
    for each in refused:
        say(f"{each['subject']}: {each['message']}")
    return len(refused)


def _rows(found: Iterable[Preview]) -> Iterator[Sequence[str]]:
    for each in found:
        for row in change_rows(each):
            yield each.code, *row


def _print(version: str, found: Sequence[Preview]) -> None:
    out = console()
    heading(out, f"Version {version}: {counted(len(found), 'subject')} would move")
    rows = list(_rows(found))
    if rows:
        out.print(table(_COLUMNS, rows, ("Subject", "About")))
    unchanged = [each.code for each in found if not list(change_rows(each))]
    if unchanged:
        out.print(f"No change: {', '.join(unchanged)}")
    sys.stdout.flush()


def _write(report: Path, found: Sequence[Preview]) -> None:
    lines = io.StringIO(newline="")
    csv.writer(lines).writerows([_COLUMNS, *_rows(found)])
    written(report, f"\ufeff{lines.getvalue()}")


def written(file: Path, text: str) -> None:
    """Write a text to a file, which replaces one that is there."""
    try:
        file.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise ItpError(f"{file} cannot be written: {error.strerror}") from error
