"""`itp plan`: the plan that a file of events gives. It loads neither a database nor Prefect."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

import click

from deployments.cli.errors import BAD_INPUT, say
from deployments.cli.event_files import Stated, called, read_events
from itp_events.errors import BadInput
from itp_events.events import OWN_SOURCE, Enrolled
from itp_events.intake.batch import judge
from itp_events.outputs.plan import Plan, plan
from itp_events.protocol.model import Protocol, Site

_DATE = r"\d{4}-\d{2}-\d{2}"
_MOMENT = "must be a date, as 2026-01-14, or an instant with its offset, as 2026-01-14T09:00:00+08:00"


@click.command("plan", short_help="The plan that a file of events gives.")
@click.argument("events")
@click.option(
    "--as-of", metavar="T", help="An instant with its offset, or a date: 00:00 at the site. Default: now."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object; for several subjects one a line.")
def command(events: str, as_of: str | None, as_json: bool) -> None:
    """Print the plan that EVENTS give: every visit's window, the due notices, and the next ones.

    EVENTS is a file with a JSON array, one JSON object, or JSON Lines; `-` is the standard input. Nothing
    is stored, and neither a database nor a service is needed. Events reported after T are left out. What is
    malformed, or against the study's rules, is named on the standard error (exit code 2); the others give
    the plan.

    \b
    Examples:
      itp plan examples/enrol.json --as-of 2026-01-14
      cat examples/*.json | itp plan - --as-of 2026-01-14T09:00:00+08:00 --json
    """
    from deployments.bootstrap.clock import Clock
    from deployments.bootstrap.settings import load_settings
    from itp_events.protocol.file import load_protocol

    moment = _moment(as_of) or Clock().now()
    protocol = load_protocol(load_settings().protocols)
    read = read_events(events)
    planned = [_planned(protocol, code, rows, moment) for code, rows in _by_subject(read.stated).items()]
    (_print_json if as_json else _print)(planned)
    problems = [str(each) for each in read.malformed]
    problems += [problem for each in planned for problem in each.problems]
    if not problems and not any(each.plan for each in planned):
        problems = [f"{called(events)}: no enrolment was reported by {moment}"]
    for problem in problems:
        say(problem)
    if problems:
        raise click.exceptions.Exit(BAD_INPUT)


@dataclass
class _Planned:
    """One subject's plan, the refused events, and the number of events that were left out."""

    code: str
    plan: Plan | None = None
    problems: list[str] = field(default_factory=list)
    later: int = 0
    own: int = 0


def _moment(text: str | None) -> datetime | date | None:
    """The instant or the site's date that --as-of names. Raises BadInput."""
    if text is None:
        return None
    try:
        moment = date.fromisoformat(text) if re.fullmatch(_DATE, text) else datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"{text!r} {_MOMENT}", "--as-of") from error
    if isinstance(moment, datetime) and moment.tzinfo is None:
        raise BadInput(f"{text!r} {_MOMENT}", "--as-of")
    if not 1900 <= moment.year < 2200:
        raise BadInput(f"{text!r} lies outside the years 1900 to 2199", "--as-of")
    return moment


def _by_subject(stated: Sequence[Stated]) -> dict[str, list[Stated]]:
    """The events of each subject; codes that differ in case only are one, as the first of them writes it."""
    codes: dict[str, str] = {}
    by_code: dict[str, list[Stated]] = {}
    for each in stated:
        code = codes.setdefault(each.event.subject.lower(), each.event.subject)
        by_code.setdefault(code, []).append(replace(each, event=replace(each.event, subject=code)))
    return by_code


def _planned(protocol: Protocol, code: str, rows: Sequence[Stated], moment: datetime | date) -> _Planned:
    as_of = moment if isinstance(moment, datetime) else _site(protocol, rows).midnight(moment)
    known = [each for each in rows if each.event.time <= as_of]
    facts = [each for each in known if not each.event.own]
    # The service's decisions follow from the facts; the version it pinned at enrolment does not.
    own = [each.event for each in known if each.event.own]
    judgement = judge(protocol, own, [each.event for each in facts], as_of)
    planned = _Planned(code, later=len(rows) - len(known), own=len(own))
    planned.problems = [
        each.place.explained(verdict.error)
        for each, verdict in zip(facts, judgement.verdicts, strict=True)
        if verdict.error
    ]
    if any(isinstance(event.data, Enrolled) for event in judgement.accepted):
        planned.plan = plan(protocol, [*own, *judgement.accepted], as_of)
    return planned


def _site(protocol: Protocol, rows: Sequence[Stated]) -> Site:
    """The site of the enrolment stated last; the default one when none is."""
    sites = [each.event.data.site for each in rows if isinstance(each.event.data, Enrolled)]
    return protocol.site(sites[-1] if sites else "default")


def _print_json(planned: Sequence[_Planned]) -> None:
    from deployments.cli.output.tables import print_json
    from itp_events.outputs.plan_json import document

    for each in planned:
        if each.plan:
            print_json(document(each.plan), indent=2 if len(planned) == 1 else None)


def _print(planned: Sequence[_Planned]) -> None:
    from deployments.cli.output.schedule import (
        print_deviations,
        print_due,
        print_flags,
        print_head,
        print_next,
        print_responses,
        print_visits,
    )
    from deployments.cli.output.tables import console

    out = console()
    for each in planned:
        if each.plan:
            state = each.plan.decision.subject_state
            print_head(out, state)
            print_visits(out, state)
            print_flags(out, state)
            print_deviations(out, state)
            print_responses(out, state)
            print_due(out, state, each.plan.notices)
            print_next(out, state, each.plan.forecast)
        left_out = list(_left_out(each))
        for line in left_out:
            out.print(line)
        if each.plan or left_out:
            out.print()


def _left_out(planned: _Planned) -> Iterator[str]:
    if planned.later:
        yield f"Left out: {planned.later} of {planned.code} reported later."
    if planned.own:
        yield f"Left out: {planned.own} of {planned.code} decided by the service (source {OWN_SOURCE})."
