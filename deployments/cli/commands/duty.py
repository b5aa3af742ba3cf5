"""`itp duty`: rotas, absences and deputies: whom a notice reaches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

import click

from deployments.bootstrap.clock import Clock
from deployments.bootstrap.os_user import os_actor
from deployments.bootstrap.settings import Settings, load_settings
from deployments.cli.output.tables import console, print_json, table
from itp_events.duty.ahead import days_from
from itp_events.duty.changes import Absent, Back, Change, named, read_change, write_change
from itp_events.duty.roster import OnDuty
from itp_events.errors import BadInput
from itp_events.outputs.plan_json import instant
from itp_events.protocol.file import load_protocol
from itp_events.protocol.model import Protocol
from tasks.database import duty
from tasks.database.store import Store
from tasks.delivery.channels import Channels
from tasks.text.duty import reasons

_DAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MOST_DAYS = 366


class _Day(click.ParamType[date]):
    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """The date that a person wrote as YYYY-MM-DD."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no date; write it as 2026-12-01", param, ctx)


_DAY = _Day()
_as_json = click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
_site = click.option("--site", help="The site's code; without it, every site that has no rota of its own.")


@click.group("duty", short_help="Rotas, absences and deputies.")
def command() -> None:
    """Say who is on duty, and who stands in for whom.

    Where an audience has a rota at a site, its notices go to the recipients that are tagged with the accounts
    of the people on duty (crc.li=mailto://... in YAML, crc-li= in a text file, whose tags take no dot);
    elsewhere to all that are tagged with the audience. Who is away is not told; the deputy is. A change takes
    effect at the next hand-over, and sends nothing twice. Dates are the site's, and both ends count.

    \b
    Examples:
      itp duty set coordinator mon-fri crc.li --site 01
      itp duty absent crc.li 2026-12-01 --until 2026-12-12 --deputy crc.wang
      itp duty show --days 14
    """


@command.command("show", short_help="Who is on duty on the next days, and the gaps.")
@click.option("--days", type=click.IntRange(1, _MOST_DAYS), default=7, show_default=True)
@click.option("--from", "first", type=_DAY, help="The first day; today at the site unless said.")
@_as_json
def show(days: int, first: date | None, as_json: bool) -> None:
    """Show for each rota who is on duty on the next days, and where nobody is.

    \b
    Examples:
      itp duty show
      itp duty show --days 28 --json
    """
    with _study() as study:
        rows = list(_rows(study, first, days))
    if as_json:
        print_json(rows)
    elif not rows:
        click.echo("There is no rota: notices go to everybody who is tagged with their audience.")
    else:
        shown = [
            (row["day"], row["audience"], row["site"], ", ".join(row["people"]) or "NOBODY", row["note"])
            for row in rows
        ]
        console().print(table(("Day", "Audience", "Site", "On duty", ""), shown, ("Day",)))


def _rows(study: _Study, first: date | None, count: int) -> Iterator[dict[str, Any]]:
    roster = duty.current_roster(study.store)
    places = list(duty.places(study.store, roster, study.protocol))
    for audience, site in places:
        today = first or study.protocol.site(site).date_of(study.now)
        for day in days_from(today, count):
            on_duty = roster.on_duty(audience, site, day)
            if on_duty.planned is not None:
                yield _row(study, audience, site, day, on_duty)


def _row(study: _Study, audience: str, site: str, day: date, on_duty: OnDuty) -> dict[str, Any]:
    for_whom = [f"{who} for {planned}" for who, planned in on_duty.covers if who != planned]
    untagged = [who for who in on_duty.people if not study.channels.reaches(who)]
    notes = [*for_whom, *(f"no recipient is tagged {who}" for who in untagged)]
    if on_duty.nobody or on_duty.missing:
        notes.append(reasons(on_duty.missing, "en"))
    return {
        "day": day.isoformat(),
        "audience": audience,
        "site": site,
        "planned": list(on_duty.planned or ()),
        "people": list(on_duty.people),
        "note": "; ".join(notes),
    }


@command.command("set", short_help="A weekly rota.")
@click.argument("audience")
@click.argument("days")
@click.argument("people", nargs=-1, required=True)
@_site
@click.option("--from", "first", type=_DAY, help="The first day; today at the site unless said.")
@_as_json
def set_(
    audience: str, days: str, people: Sequence[str], site: str | None, first: date | None, as_json: bool
) -> None:
    """Put PEOPLE on duty for an AUDIENCE on DAYS of every week, in place of who was there before.

    DAYS are mon-fri, sat,sun or daily. Days of the week that no rota plans have nobody on duty.

    \b
    Examples:
      itp duty set coordinator mon-fri crc.li --site 01
      itp duty set coordinator sat,sun crc.wang --site 01 --from 2026-12-05
    """
    said = {"what": "rota", "audience": audience, "site": site, "days": _days(days), "people": list(people)}
    _state(said, as_json=as_json, first=first, site=site)


@command.command("end", short_help="No rota any more.")
@click.argument("audience")
@_site
@click.option("--from", "first", type=_DAY, help="The first day without; today at the site unless said.")
@_as_json
def end(audience: str, site: str | None, first: date | None, as_json: bool) -> None:
    """End an AUDIENCE's rota: everybody who is tagged with the audience is told, as without one.

    \b
    Examples:
      itp duty end coordinator --site 01
    """
    said = {"what": "rota-ended", "audience": audience, "site": site}
    _state(said, as_json=as_json, first=first, site=site)


@command.command("except", short_help="Other people on some dates.")
@click.argument("audience")
@click.argument("first", type=_DAY)
@click.argument("people", nargs=-1)
@_site
@click.option("--until", "last", type=_DAY, help="The last day; the first one unless said.")
@_as_json
def except_(
    audience: str, first: date, people: Sequence[str], site: str | None, last: date | None, as_json: bool
) -> None:
    """Put PEOPLE on duty from the date FIRST on, whatever the rota says; without any, nobody is.

    \b
    Examples:
      itp duty except coordinator 2026-12-24 crc.wang --until 2026-12-26 --site 01
    """
    said = {
        "what": "exception",
        "audience": audience,
        "site": site,
        "people": list(people),
        "first": first,
        "last": last or first,
    }
    _state(said, as_json=as_json)


@command.command("absent", short_help="Somebody is away, with a deputy.")
@click.argument("person")
@click.argument("first", type=_DAY)
@click.option("--until", "last", type=_DAY, help="The last day; until they are back unless said.")
@click.option("--deputy", help="The account of who stands in.")
@_as_json
def absent(person: str, first: date, last: date | None, deputy: str | None, as_json: bool) -> None:
    """Say that a PERSON is away from the date FIRST on, and who stands in.

    The deputy gets one message with what is open, and the person gets one on the day of their return.

    \b
    Examples:
      itp duty absent crc.li 2026-12-01 --until 2026-12-12 --deputy crc.wang
      itp duty absent crc.li 2026-12-01 --deputy crc.wang
    """
    said = {"what": "absent", "person": person, "first": first, "last": last, "deputy": deputy}
    _state(said, as_json=as_json)


@command.command("back", short_help="Somebody is back.")
@click.argument("person")
@click.option("--on", type=_DAY, help="The first day back; today unless said.")
@_as_json
def back(person: str, on: date | None, as_json: bool) -> None:
    """Say that a PERSON is back: the absence ends on the day before.

    \b
    Examples:
      itp duty back crc.li
      itp duty back crc.li --on 2026-12-08
    """
    with _study() as study:
        day = on or study.today()
        roster = duty.current_roster(study.store)
        if not any(roster.absences_of(person.lower(), day)):
            raise BadInput(f"{person} is not away on {day}; see: itp duty log", "PERSON")
        _record(study, {"what": "back", "person": person, "on": day}, as_json=as_json)


@command.command("void", short_help="Take a change back.")
@click.argument("number", metavar="ID", type=int)
@click.option("--reason", required=True, help="Why it was wrong.")
@_as_json
def void(number: int, reason: str, as_json: bool) -> None:
    """Take back the change of the number ID, as if it had never been stated; itp duty log has the numbers.

    \b
    Examples:
      itp duty void 3 --reason "the wrong week"
    """
    _state({"what": "void", "change": number, "reason": reason}, as_json=as_json)


@command.command("log", short_help="Every change: who, when, what.")
@_as_json
def log(as_json: bool) -> None:
    """List every change of duty in the order in which they were stated, those taken back among them.

    \b
    Examples:
      itp duty log
      itp duty log --json
    """
    with _study() as study:
        stated = duty.changes(study.store)
    if as_json:
        print_json([_document(each) for each in stated])
        return
    rows = [(str(each.id), f"{each.at:%Y-%m-%d %H:%M}Z", each.actor or "", *_said(each)) for each in stated]
    console().print(table(("ID", "When", "By", "What", ""), rows, ("ID",)))


class _Study:
    """The study's parts that these commands use."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.store = store
        self.protocol: Protocol = load_protocol(settings.protocols)
        self.channels = Channels.from_config(settings.apprise_config)
        self.now = Clock().now()

    def today(self, site: str | None = None) -> date:
        """Today's date at a site."""
        return self.protocol.site(site or "default").date_of(self.now)


@contextmanager
def _study() -> Iterator[_Study]:
    settings = load_settings()
    store = Store.open(settings.database)
    try:
        yield _Study(settings, store)
    finally:
        store.close()


def _state(
    said: dict[str, Any], *, as_json: bool, first: date | None = None, site: str | None = None
) -> None:
    with _study() as study:
        if "first" not in said and said["what"] in ("rota", "rota-ended"):
            said["first"] = first or study.today(site)
        _record(study, said, as_json=as_json)


def _record(study: _Study, said: dict[str, Any], *, as_json: bool) -> None:
    change = read_change({name: value for name, value in said.items() if value is not None})
    stated = duty.state(study.store, change, study.now, actor=os_actor(), door="cli")
    if as_json:
        print_json(_document(stated))
    else:
        click.echo(f"{stated.id}: {' '.join(_said(stated))}")
        _warn(study, change)


def _warn(study: _Study, change: Change) -> None:
    """Say at once what `itp doctor` would say of the people whom a change names."""
    from deployments.cli.errors import say

    away = change.person if isinstance(change, Absent | Back) else None
    for person in dict.fromkeys(named(change)):
        if person != away and not study.channels.reaches(person):
            say(f"no recipient in ITP_APPRISE_CONFIG is tagged {person}: what is for them cannot reach them")


def _document(stated: duty.Stated) -> dict[str, Any]:
    known = {"id": stated.id, "at": instant(stated.at), "actor": stated.actor, "door": stated.door}
    return known | write_change(stated.change)


def _said(stated: duty.Stated) -> tuple[str, str]:
    said = write_change(stated.change)
    what = said.pop("what")
    if "days" in said:
        said["days"] = ",".join(_DAY_NAMES[day - 1] for day in said["days"])
    words = [
        f"{name} {', '.join(value) if isinstance(value, list) else value}" for name, value in said.items()
    ]
    return what, "; ".join(words)


def _days(text: str) -> list[int]:
    """The days of the week that a person wrote, as mon-fri or sat,sun."""
    if text.lower() == "daily":
        return list(range(1, len(_DAY_NAMES) + 1))
    found: list[int] = []
    for part in text.lower().split(","):
        first, _, last = part.partition("-")
        try:
            start, stop = _DAY_NAMES.index(first), _DAY_NAMES.index(last or first)
        except ValueError as error:
            raise BadInput(f"{text!r} names no days; write mon-fri, sat,sun or daily", "DAYS") from error
        found += range(start + 1, stop + 2)
    if not found:
        raise BadInput(f"{text!r}: the first day must come before the last", "DAYS")
    return sorted(set(found))
