"""A subject's plan for people: the visits, why their dates are what they are, and the notices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from deployments.cli.tables import (
    LEGEND,
    assumed,
    at_site,
    bullets,
    coloured,
    counted,
    dated,
    heading,
    table,
)
from deployments.cli.told import stated
from itp_events.events import NoticeIssued
from itp_events.explain import basis, day, sides
from itp_events.protocol import Site
from itp_events.view import View
from itp_events.windows import PlannedVisit
from itp_events.withdrawal import Flag

NOTICES_SHOWN = 8
_WHOLE = ("Visit", "Opens", "Closes", "Target", "Booked", "Done")


def print_head(out: Console, seen: View) -> None:
    """Who, in which state, by which protocol and time zone."""
    subject, protocol = seen.subject, seen.protocol
    out.print(Text.assemble((subject.code, "bold"), "  ", (seen.state, "bold")))
    site = f"site {subject.enrolled.site} ({subject.site.time_zone})"
    out.print(f"{protocol.id} version {protocol.version}, {site}, enrolled {day(subject.enrolled.on)}")
    out.print(f"As of {at_site(subject.site, seen.now)} at the site")


def print_visits(out: Console, seen: View) -> None:
    """Each visit with its window, what happened, and the reason of its dates."""
    out.print()
    rows = (_row(seen, each) for each in seen.visits)
    # With a gap of one the widest dates leave room for the status on 80 columns.
    out.print(table((*_WHOLE, "Status"), rows, _WHOLE, gap=1))
    heading(out, "Why these dates")
    bullets(out, ((each.code, why(each) + _proposed(seen, each)) for each in seen.visits))
    out.print(LEGEND)


def why(planned: PlannedVisit) -> str:
    """What a visit's dates hang on, each rule marked where it is assumed."""
    rule = planned.visit
    target = assumed(basis(planned), rule.source.target)
    window = assumed(f"window {sides(rule)}", rule.source.window)
    return f"{rule.label}: {target}; {window}"


def _proposed(seen: View, planned: PlannedVisit) -> str:
    """The day to propose for a visit whose target is no working day, or is past."""
    suggested = None if planned.booked else seen.suggested(planned)
    if suggested is None or suggested == planned.target:
        return ""
    return f"; nearest working day {day(suggested)}"


def _row(seen: View, planned: PlannedVisit) -> Sequence[str | Text]:
    source = planned.visit.source
    return (
        planned.code,
        dated(planned.opens, source.window),
        dated(planned.closes, source.window),
        dated(planned.target, source.target),
        dated(planned.booked),
        dated(planned.on),
        coloured(planned.status(seen.today), _deviation(planned)),
    )


def _deviation(planned: PlannedVisit) -> str:
    away = planned.deviation_days
    if not away:
        return ""
    return f", {counted(abs(away), 'day')} {'early' if away < 0 else 'late'}"


def print_flags(out: Console, seen: View) -> None:
    """The withdrawal criteria that were met, and how each epoch ended."""
    if seen.flags:
        heading(out, "Flags")
        bullets(out, ((flag.criterion, _flag(seen, flag)) for flag in seen.flags))
    if seen.dispositions:
        heading(out, "Dispositions")
        bullets(
            out,
            ((each.epoch, f"{each.decode} on {day(each.on)} ({each.term})") for each in seen.dispositions),
        )


def _flag(seen: View, flag: Flag) -> str:
    source = seen.protocol.criteria[flag.criterion].source
    since = (
        f"since {at_site(seen.subject.site, flag.at)}, because of {flag.event[0]}: {flag.event[1]} [{source}]"
    )
    if flag.decision is None:
        return f"{since}; waits for the investigator's decision"
    return f"{since}; {stated(flag.decision)}"


def print_due(out: Console, site: Site, due: Sequence[NoticeIssued]) -> None:
    """The notices that are due now."""
    heading(out, "Due now")
    out.print(_notices(site, due) if due else "nothing")


def print_next(out: Console, site: Site, ahead: Sequence[NoticeIssued]) -> None:
    """The notices that come next if nothing else is recorded."""
    heading(out, "Next, if nothing else is recorded")
    out.print(_notices(site, ahead[:NOTICES_SHOWN]) if ahead else "nothing")
    if len(ahead) > NOTICES_SHOWN:
        out.print(f"and {len(ahead) - NOTICES_SHOWN} more until {day(site.date_of(ahead[-1].due))}")


def _notices(site: Site, notices: Iterable[NoticeIssued]) -> object:
    columns = ("When (site)", "Visit", "What", "To")
    rows = (
        (at_site(site, each.due), each.visit or "", f"{each.kind} {each.step}", each.audience)
        for each in notices
    )
    return table(columns, rows, columns)
