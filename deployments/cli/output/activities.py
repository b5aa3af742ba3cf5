"""The protocol as tables that a coordinator would recognise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.console import Console
from rich.text import Text

from deployments.cli.output.sentences import conditions
from deployments.cli.output.tables import LEGEND, assumed, console, heading, table
from itp_events.marks import marked
from itp_events.protocol.model import (
    END_OF_TREATMENT,
    Criterion,
    DeviationRule,
    Epoch,
    Limit,
    Protocol,
    Reading,
    Reminder,
    Visit,
)
from itp_events.rules.explain import counted, offset, power_of_ten, sides

_EPOCHS: tuple[tuple[Epoch, str], ...] = (("treatment", "Treatment"), ("follow-up", "Follow-up"))
# Not said by the synopsis, and the same for every protocol: these rules are the program's own.
_END_OF_TREATMENT = (
    "The end of treatment is the last infusion's date, or its target when it was missed; when treatment is "
    "stopped, the last infusion given. A visit that was missed counts with its target."
)
_READ_AS: dict[Reading, str] = {
    "calendar-months": "A month is a calendar month after the end of treatment, never 30 days; where it is "
    "too short for the date, its last day.",
    "days-after": "Days are counted from the end of treatment, which is day 0.",
    "each-holds": "ALT and AST must each be within the limit, and each of several regimens stable "
    "for that long.",
}
_NAMES = {
    "age_years": "age, years",
    "itp_months": "ITP, months",
    "maintenance_weeks": "stable maintenance dose, weeks",
    "alt_x_uln": "ALT, x ULN",
    "ast_x_uln": "AST, x ULN",
    "bilirubin_x_uln": "bilirubin, x ULN",
    "creatinine_x_uln": "creatinine, x ULN (or the clearance)",
    "creatinine_clearance_ml_min": "creatinine clearance, ml/min",
    "consent_of_age": "consents alone from, years",
    "assent_years": "assent from, years",
    "assent_notice_years": "reminded of assent from, years",
    "majority_notice_years": "reminded of coming of age from, years",
}


def print_protocol(protocol: Protocol) -> None:
    """The whole protocol, assumptions marked."""
    out = console()
    out.print(Text(f"{protocol.id} version {protocol.version}", style="bold"))
    out.print(protocol.title)
    for print_part in _PARTS:
        print_part(out, protocol)
    out.print()
    out.print(LEGEND)


def _visits(out: Console, protocol: Protocol) -> None:
    heading(out, "Schedule of activities")
    rows: list[Sequence[str | Text]] = []
    for epoch, name in _EPOCHS:
        rows.append((Text(name, style="italic"), "", "", ""))
        rows += [_visit(visit) for visit in protocol.visits if visit.epoch == epoch]
    out.print(table(("Visit", "Label", "Target", "Window"), rows))
    out.print(assumed(_END_OF_TREATMENT, "assumption"))
    readings = dict.fromkeys(visit.reading for visit in protocol.visits if visit.reading)
    for reading in readings:
        out.print(assumed(_READ_AS[reading], "assumption"))


def _visit(visit: Visit) -> Sequence[str]:
    anchor = "end of treatment" if visit.anchor == END_OF_TREATMENT else visit.anchor
    return (
        f"  {visit.code}",
        visit.label,
        marked(f"{offset(visit)} {anchor}", visit.target_assumed),
        assumed(sides(visit), visit.source.window),
    )


def _dose_and_sites(out: Console, protocol: Protocol) -> None:
    dose = protocol.dose
    heading(out, "Dose and sites")
    cells = f"{power_of_ten(dose.cells_per_kg)} cells per kg of body weight at each infusion"
    out.print(assumed(cells, dose.source))
    limits = (
        f"pointed out: cells given that differ by more than {dose.deviation:.0%}, "
        f"a weight that changed by more than {dose.weight_change:.0%}"
    )
    out.print(assumed(limits, "assumption"))
    for code, site in protocol.sites.items():
        settings = f"{site.time_zone}, notices in {site.language}, working days of {site.calendar}"
        out.print(assumed(f"site {code}: {settings}", site.source))


def _reminders(out: Console, protocol: Protocol) -> None:
    heading(
        out, f"Reminders, at {protocol.notices_at:%H:%M} site time; T is the booked date, else the target"
    )
    rows: list[Sequence[str | Text]] = []
    for epoch, name in _EPOCHS:
        rows.append((Text(name, style="italic"), "", "", ""))
        rows += [_reminder(rule) for rule in protocol.reminders[epoch]]
    out.print(table(("Step", "When", "To", "Note"), rows))


def _reminder(rule: Reminder) -> Sequence[str]:
    of = {"T": "T", "booked": "the booked date", "closes": "the window's last day"}[rule.from_]
    when = f"on {of}"
    if rule.days:
        when = f"{counted(abs(rule.days), 'day')} {'before' if rule.days < 0 else 'after'} {of}"
    notes = ("unless booked" if rule.unless_booked else "", "with the dose" if rule.prepares_cells else "")
    return f"  {rule.step}", assumed(when, rule.source), rule.audience, ", ".join(filter(None, notes))


def _ladder(out: Console, protocol: Protocol) -> None:
    ladder = protocol.ladder
    heading(out, "When a window closes with nothing recorded")
    rows = [
        (f"day +{rung.day}", assumed(f"{rung.step} to the {rung.audience}", rung.source))
        for rung in ladder.rungs
    ]
    rows.append((f"day +{ladder.missed_on_day}", assumed("the visit counts as missed", ladder.source)))
    out.print(table(("Day", "What"), rows))
    most, after = ladder.acknowledged_at_most_days, ladder.missed_after_acknowledgement_days
    said = (
        f"An acknowledgement puts it off for at most {counted(most, 'day')}; "
        f"the visit counts as missed {counted(after, 'day')} after that at the earliest"
    )
    out.print(assumed(said, ladder.source))


def _alerts(out: Console, protocol: Protocol) -> None:
    heading(out, "Alerts, at once and at any hour")
    out.print(table(("Alert", "To", "Repeated"), _alert_rows(protocol)))


def _alert_rows(protocol: Protocol) -> Iterator[Sequence[str]]:
    for name, alert in protocol.alerts.items():
        audiences = ", ".join(alert.audiences)
        for audience, first in alert.later.items():
            audiences += f"; from number {first} on also {audience}"
        hours = " and ".join(f"{hours} h" for hours in alert.clock_hours)
        days = alert.every_working_days
        repeated = f"after {hours}, until submitted" if hours else ""
        if days:
            until = {"death-unrecorded": "recorded", "re-consent": "given"}.get(name, "decided")
            repeated = f"every {counted(days, 'working day') if days > 1 else 'working day'} until {until}"
        yield assumed(name, alert.source), audiences, repeated


def _withdrawal(out: Console, protocol: Protocol) -> None:
    heading(out, "Withdrawal criteria")
    columns = ("Criterion", "Effect", "DSDECOD", "When")
    out.print(table(columns, (_criterion(each) for each in protocol.withdrawal), columns[:2]))


# Words for rules that the file names in one word, or that need no number in it.
_EFFECTS = {"by-scope": "exit or stop", "by-decision": "exit or stop"}
_WHEN = {
    "consent-withdrawn": "for the study, or for treatment only",
    "pregnancy": "the subject's; a partner's is an alert only",
    "investigator-decision": "the investigator decides so",
}


def _criterion(criterion: Criterion) -> Sequence[str]:
    guardian = f" (by a guardian: {criterion.guardian_decode})" if criterion.guardian_decode else ""
    return (
        assumed(criterion.criterion, criterion.source),
        _EFFECTS.get(criterion.effect, criterion.effect),
        criterion.decode + guardian,
        _WHEN.get(criterion.criterion) or ", ".join(conditions(criterion)),
    )


def _eligibility(out: Console, protocol: Protocol) -> None:
    heading(out, "Limits at enrolment")
    limits: Iterable[tuple[str, Limit]] = iter(protocol.eligibility)
    rows = ((_NAMES.get(name, name), marked(str(limit), limit.assumed)) for name, limit in limits)
    out.print(table(("Value", "Limit"), rows))
    if any(limit.reading == "each-holds" for _, limit in protocol.eligibility):
        out.print(assumed(_READ_AS["each-holds"], "assumption"))


def _response(out: Console, protocol: Protocol) -> None:
    rule = protocol.response
    heading(out, f"Response of platelets, 10⁹/L ({rule.source})")
    fold = f"{rule.times_baseline:g} x the count at baseline"
    apart = f"a second such count at least {counted(rule.confirmed_after_days, 'day')} apart"
    rows = (
        ("complete response", f"{rule.complete_from:g} or more, no bleeding"),
        ("response", f"{rule.response_from:g} or more and at least {fold}, no bleeding"),
        ("confirmed by", apart),
        ("not evaluable", f"within {counted(rule.not_within_weeks_of_rescue, 'week')} of rescue medication"),
        ("sustained at", f"{', '.join(rule.sustained_at)}, without other ITP treatment"),
    )
    out.print(table(("What", "When"), ((name, assumed(said, rule.source)) for name, said in rows)))


def _deviations(out: Console, protocol: Protocol) -> None:
    heading(out, "Deviations: important until the investigator assesses them otherwise")
    rows = (
        (assumed(category, rule.source), _importance(rule)) for category, rule in protocol.deviations.items()
    )
    out.print(table(("Category", "Important"), rows))


def _importance(rule: DeviationRule) -> str:
    if not rule.important:
        return "no"
    limits = []
    if rule.beyond_days is not None:
        limits.append(f"more than {counted(rule.beyond_days, 'day')} outside the window")
    if rule.epochs is not None:
        limits.append(f"visits of {' and '.join(rule.epochs)}")
    return ", ".join(limits) or "always"


_PARTS: tuple[Callable[[Console, Protocol], None], ...] = (
    _visits,
    _dose_and_sites,
    _reminders,
    _ladder,
    _alerts,
    _withdrawal,
    _eligibility,
    _response,
    _deviations,
)
