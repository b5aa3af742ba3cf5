"""`itp record`: records events in the running study."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import click

from deployments.bootstrap.os_user import os_actor
from deployments.bootstrap.settings import load_settings
from deployments.bootstrap.study import open_study
from deployments.cli.afterwards import hand_over_of
from deployments.cli.errors import BAD_INPUT, say
from deployments.cli.event_files import Events, Malformed, Stated, read_events
from deployments.cli.output.harmless import plain
from deployments.cli.output.tables import coloured, console, print_json
from flows.study.recording import follow_up, show
from flows.study.roles import Speaker
from flows.study.runtime import Runtime
from itp_events.errors import NotEligible, Refused
from itp_events.outputs.plan_json import instant
from tasks.advance import Answer


@click.command("record", short_help="Record events in the running study.")
@click.argument("events")
@click.option("--json", "as_json", is_flag=True, help="A JSON array with the answer to each event.")
def command(events: str, as_json: bool) -> None:
    """Record what happened: each event in EVENTS is recorded, known already, or refused by itself.

    EVENTS is a file with one JSON object, a JSON array, or JSON Lines; `-` is the standard input. What is
    malformed, or against the study's rules, is named on the standard error (exit code 2); the others are
    recorded all the same. Recording the same event again changes nothing. What an event makes due is
    handed over at once; where no channel is configured, the service prints it.

    \b
    Examples:
      itp record examples/enrol.json
      sh examples/today.sh examples/enrol.json | itp record -
    """
    read = read_events(events)
    if not _recorded(read, as_json=as_json):
        raise click.exceptions.Exit(BAD_INPUT)


def _recorded(read: Events, *, as_json: bool) -> bool:
    """Record, print the answers, then hand over, which may take half a minute; False after a refusal."""
    if not read.stated:
        return _answer(read, [], as_json=as_json)
    study = open_study(load_settings())
    try:
        events = [each.event for each in read.stated]
        answers = study.record(events, study.clock.now(), sender=at_the_machine())
        all_recorded = _answer(read, answers, as_json=as_json)
        _follow_up(study, answers)
    finally:
        study.store.close()
    return all_recorded


def at_the_machine() -> Speaker:
    """A person at the service's own machine, with its files at hand: the operating system tells who."""
    return Speaker(decides=True, actor=os_actor(), door="cli")


def _answer(read: Events, answers: Sequence[Answer], *, as_json: bool) -> bool:
    if as_json:
        print_json(_document(read, answers))
    else:
        _print(read.stated, answers)
    sys.stdout.flush()
    problems = [str(each) for each in read.malformed] + _refusals(read.stated, answers)
    for problem in problems:
        say(problem)
    return not problems


def _follow_up(study: Runtime, answers: Sequence[Answer]) -> None:
    follow_up(answers, hand_over_of(study), partial(show, study))


def _refusals(stated: Sequence[Stated], answers: Sequence[Answer]) -> list[str]:
    pairs = zip(stated, answers, strict=True)
    return [each.place.explained(answer.error) for each, answer in pairs if answer.error]


def _print(stated: Sequence[Stated], answers: Sequence[Answer]) -> None:
    out = console()
    for each, answer in zip(stated, answers, strict=True):
        event = each.event
        what = f"  {event.subject}  {event.type}  ({event.source}: {event.id}){_standing(answer)}"
        out.print(coloured(answer.status, plain(what)), soft_wrap=True)


def _standing(answer: Answer) -> str:
    moved = answer.advanced
    return f"  now: {moved.state}, {moved.message}" if moved else ""


def _document(read: Events, answers: Sequence[Answer]) -> list[dict[str, Any]]:
    rows = {each.place.number: _row(each, answer) for each, answer in zip(read.stated, answers, strict=True)}
    rows |= {each.place.number: _malformed(each) for each in read.malformed}
    return [rows[number] for number in sorted(rows)]


def _row(stated: Stated, answer: Answer) -> dict[str, Any]:
    event, error, moved = stated.event, answer.error, answer.advanced
    return {
        "place": stated.place.at,
        "status": answer.status,
        "subject": event.subject,
        "type": event.type,
        "source": event.source,
        "id": event.id,
        "rule": error.rule if isinstance(error, Refused) else None,
        "field": getattr(error, "field", None),
        "message": str(error) if error else None,
        "unmet": list(error.unmet) if isinstance(error, NotEligible) else None,
        "state": moved.state if moved else None,
        "wake_at": instant(moved.wake_at) if moved and moved.wake_at else None,
    }


def _malformed(malformed: Malformed) -> dict[str, Any]:
    return {
        "place": malformed.place.at,
        "status": "malformed",
        "field": malformed.error.field,
        "message": malformed.error.problem,
    }
