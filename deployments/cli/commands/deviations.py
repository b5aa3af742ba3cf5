"""`itp deviations`: the deviations from the protocol, their importance and their assessment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click
from rich.text import Text

from deployments.cli.opening import OpenStudy, open_to_read
from deployments.cli.output.schedule import deviated, deviation_document, importance
from deployments.cli.output.tables import console, print_json, table
from itp_events.errors import ItpError
from itp_events.events import Event
from itp_events.protocol.model import Protocol
from itp_events.rules.deviations import Deviation, deviations
from itp_events.rules.explain import counted, day
from itp_events.rules.state import subject_state
from itp_events.rules.subject import fold
from tasks.database.event_log import Origin
from tasks.database.queries import all_subjects, codes_near
from tasks.database.subject_record import subject_record
from tasks.database.unreadable import passing_over


@dataclass(frozen=True)
class _Line:
    """A deviation of one subject, with the subject's site and protocol, and how an event came in."""

    subject: str
    site: str
    protocol: Protocol
    deviation: Deviation
    origin: Callable[[Event], Origin]


@click.command("deviations", short_help="Deviations from the protocol, and their assessment.")
@click.option("--important", is_flag=True, help="Only the important ones.")
@click.option("--unassessed", is_flag=True, help="Only those that the investigator has not assessed.")
@click.option("--subject", "code", metavar="CODE", help="Only those of one subject.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array, one object for each deviation.")
def command(important: bool, unassessed: bool, code: str | None, as_json: bool) -> None:
    """List the deviations from the protocol, the oldest first. They are derived, and never entered.

    A deviation is important by a rule of the protocol file until the investigator assesses it: record an
    itp.deviation.assessed that names its id.

    \b
    Examples:
      itp deviations
      itp deviations --important --unassessed
      itp deviations --subject ITP-007 --json
    """
    unreadable: dict[str, str] = {}
    with open_to_read() as study:
        lines = sorted(
            _lines(study, code, unreadable),
            key=lambda each: (each.deviation.on, each.subject, each.deviation.id),
        )
    shown = [
        each
        for each in lines
        if (each.deviation.important or not important) and not (unassessed and each.deviation.assessed)
    ]
    if as_json:
        print_json([_document(each) for each in shown])
    else:
        _print(shown, len(lines))
    for subject, why in unreadable.items():
        click.echo(f"{subject} cannot be read: {why}", err=True)


def _lines(study: OpenStudy, code: str | None, unreadable: dict[str, str]) -> Iterator[_Line]:
    """The deviations of each subject; unreadable subjects are left out, and named with the reason."""
    rows = [row for row in all_subjects(study.store) if code in (None, row.code)]
    if code and not rows:
        raise ItpError(
            f"{code} is not enrolled here{codes_near(study.store, code) or ';'} `itp subjects` lists who is"
        )
    for row in rows:
        with passing_over(row.code, unreadable):
            record = subject_record(study.store, row.code)
            state = subject_state(fold(study.protocol, record.events), study.now)
            yield from [
                _Line(row.code, row.site, state.protocol, each, record.origin) for each in deviations(state)
            ]


def _document(line: _Line) -> dict[str, Any]:
    where = {"subject": line.subject, "site": line.site}
    return where | deviation_document(line.deviation, line.origin) | {"term": line.deviation.term}


def _print(shown: Sequence[_Line], known: int) -> None:
    out = console()
    if not shown:
        out.print("No deviation is known." if not known else f"None of {counted(known, 'deviation')}.")
        return
    columns = ("Since", "Deviation", "Important")
    out.print(table(columns, map(_row, shown), columns[:1]))
    important = sum(each.deviation.important for each in shown)
    waiting = sum(each.deviation.waits for each in shown)
    out.print(
        f"{counted(len(shown), 'deviation')}, {important} important, "
        f"{waiting} of these to be assessed by the investigator"
    )


def _row(line: _Line) -> Sequence[str | Text]:
    stated = line.deviation
    return day(stated.on), deviated(stated, line.origin), importance(line.protocol, stated)
