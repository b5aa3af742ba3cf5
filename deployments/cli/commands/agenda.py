"""`itp agenda`: the tasks that wait for people, and the dates of the next days, by the sites' calendars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from operator import attrgetter
from typing import Any

import click
from rich.text import Text

from deployments.cli.opening import OpenStudy, open_to_read
from deployments.cli.output.sentences import stated
from deployments.cli.output.tables import LEGEND, assumed, coloured, console, heading, print_json, table
from itp_events.decisions import Decision, decide
from itp_events.events import Event
from itp_events.notices.alerts import consents_asked_anew, open_consents
from itp_events.rules.assumptions import target_assumed, window_assumed
from itp_events.rules.explain import counted, day
from itp_events.rules.state import SubjectState
from itp_events.rules.subject import fold
from itp_events.rules.windows import PlannedVisit
from tasks.board.cards import fatal_since, flagged_on
from tasks.database.queries import history, live_subjects
from tasks.database.unreadable import passing_over

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Waiting:
    """A task for a person: an overdue visit, an undecided flag, a disposition to choose."""

    subject: str
    site: str
    visit: str | None
    since: date
    what: str
    days: int
    source: str = ""


@dataclass(frozen=True)
class Item:
    """One site-local day of one visit: a window opens or closes, a target, or a booking."""

    on: date
    subject: str
    site: str
    visit: str
    what: str
    projected: bool
    source: str


@click.command("agenda", short_help="Overdue visits, and the next days.")
@click.option(
    "--days", default=7, show_default=True, type=click.IntRange(1, 400), help="How many days, today included."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object: waiting, agenda.")
def command(days: int, as_json: bool) -> None:
    """List the tasks that wait, then the windows that open and close, the targets and the bookings.

    Days are days at each subject's site. A date marked "projected" hangs on a visit that is still open.

    \b
    Examples:
      itp agenda
      itp agenda --days 14 --json
    """
    with open_to_read() as study:
        unreadable: dict[str, str] = {}
        decisions = list(_decisions(study, unreadable))
    waiting = sorted(
        (each for one in decisions for each in _waiting(one)), key=attrgetter("since", "subject")
    )
    items = sorted(
        (each for one in decisions for each in _items(one.subject_state, days)),
        key=attrgetter("on", "subject"),
    )
    if as_json:
        agenda = {"waiting": [_json(each) for each in waiting], "agenda": [_json(each) for each in items]}
        print_json(agenda | {"unreadable": unreadable})
    else:
        _print(waiting, items, days)
        for code, why in unreadable.items():
            click.echo(f"{code} cannot be read: {why}", err=True)


def _decisions(study: OpenStudy, unreadable: dict[str, str]) -> Iterator[Decision]:
    """The decision about each subject; unreadable subjects are left out, and named with the reason."""
    for row in live_subjects(study.store):
        with passing_over(row.code, unreadable):
            folded = fold(study.protocol, history(study.store, row.code))
            yield decide(folded, study.now)


def _waiting(decision: Decision) -> Iterator[Waiting]:
    state = decision.subject_state
    zone = state.subject.site
    for event in _unsubmitted(decision):
        yield _since(state, None, zone.date_of(event.time), "report to submit: " + stated(event))
    if since := fatal_since(state):
        yield _since(state, None, since, "death not recorded: a fatal adverse event stands")
    yield from _consents(state)
    for flag in state.open_flags:
        # As on the board: the decision is asked for since the report, however long ago its reason happened.
        since = flagged_on(state, flag)
        what = f"flag: {flag.criterion}, the investigator must decide"
        source = state.protocol.criteria[flag.criterion].source
        yield replace(_since(state, None, since, what), source=source)
    for planned in state.visits:
        if planned.status(state.today) == "overdue":
            source = "assumption" if window_assumed(planned, state.visits) else planned.visit.source.window
            late = _since(state, planned.code, planned.closes + _DAY, "overdue: nothing recorded")
            yield replace(late, source=source)
    if state.awaiting_disposition:
        last = state.visits[-1]
        yield _since(state, last.code, zone.date_of(last.known_at or state.now), "disposition to choose")


def _consents(state: SubjectState) -> Iterator[Waiting]:
    for asked in consents_asked_anew(state):
        since = state.subject.site.date_of(asked.period.since or state.now)
        yield _since(state, None, since, f"to obtain: {asked}")
    for kind in () if state.exit else open_consents(state):
        words = {"assent": "the subject's assent", "majority": "consent in the subject's own name"}
        yield _since(state, None, state.subject.enrolled.on, f"consent to plan: {words[kind]}")


def _since(state: SubjectState, visit: str | None, first: date, what: str) -> Waiting:
    subject = state.subject
    return Waiting(subject.code, subject.enrolled.site, visit, first, what, (state.today - first).days)


def _unsubmitted(decision: Decision) -> list[Event]:
    """The events whose safety clock runs."""
    clocks = (wanted.fact for wanted in decision.wanted_notices if wanted.alert == "sae" and wanted.number)
    return list({fact.key: fact for fact in clocks if fact}.values())


def _items(state: SubjectState, days: int) -> Iterator[Item]:
    last = state.today + (days - 1) * _DAY
    for planned in state.visits:
        held = state.on_hold and planned.visit.epoch == "treatment"
        if planned.outcome or held or state.exit:
            continue
        for on, what, source in _dates(state, planned):
            if state.today <= on <= last:
                yield Item(
                    on,
                    state.subject.code,
                    state.subject.enrolled.site,
                    planned.code,
                    what,
                    not planned.firm,
                    source,
                )


def _dates(state: SubjectState, planned: PlannedVisit) -> Iterator[tuple[date, str, str]]:
    window = "assumption" if window_assumed(planned, state.visits) else planned.visit.source.window
    target = "assumption" if target_assumed(planned, state.visits) else planned.visit.source.target
    yield planned.opens, "window opens", window
    if planned.booked:
        yield planned.booked, "booked", ""
    else:
        yield planned.target, "target", target
    yield planned.closes, "last day of the window", window


def _json(entry: Waiting | Item) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, date) else value for name, value in vars(entry).items()
    }


def _print(waiting: Sequence[Waiting], items: Sequence[Item], days: int) -> None:
    out = console()
    out.print(Text("Waiting for somebody", style="bold"))
    columns = ("Since", "Subject", "Site", "Visit", "What")
    if waiting:
        out.print(table(columns, map(_waiting_row, waiting), columns[:2]))
    else:
        out.print("nothing")
    heading(out, f"The next {counted(days, 'day')}")
    columns = ("Day", "Subject", "Site", "Visit", "What")
    if items:
        out.print(table(columns, map(_item_row, items), columns[:2]))
    else:
        out.print("nothing")
    if items or any(each.source == "assumption" for each in waiting):
        out.print(LEGEND)


def _waiting_row(entry: Waiting) -> Sequence[str | Text]:
    first, colon, rest = entry.what.partition(":")
    what = coloured(first, f"{colon}{assumed(rest, entry.source)}, {counted(entry.days, 'day')}")
    return day(entry.since), entry.subject, entry.site, entry.visit or "", what


def _item_row(item: Item) -> Sequence[str]:
    what = assumed(item.what, item.source) + (" (projected)" if item.projected else "")
    return f"{item.on:%a} {day(item.on)}", item.subject, item.site, item.visit, what
