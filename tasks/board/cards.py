"""A card: the part of a subject that the board needs, as JSON types, kept beside the subject's row.

`tasks.board.keeping` writes it to the database and `tasks.board.reading` reads it back.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Literal, TypedDict, cast

from itp_events.events import AdverseEvent, Died, Event
from itp_events.notices.alerts import consents_asked_anew, open_consents
from itp_events.outputs.plan_json import instant
from itp_events.protocol.model import DeviationCategory
from itp_events.rules.assumptions import target_assumed, window_assumed
from itp_events.rules.contact import declined
from itp_events.rules.deviations import deviations
from itp_events.rules.state import SubjectState
from itp_events.rules.windows import PlannedVisit, acknowledged
from itp_events.rules.withdrawal import Flag
from tasks.board.story import Story

# The version of what a card holds. A kept card of an older version is made anew.
FORM = 8
PREGNANCY, DEATH = "pregnancy", "death"
# A notice that failed so often to reach one of its recipients is shown as undelivered.
FAILURES_SHOWN = 3


class VisitLine(TypedDict):
    """A visit on a card; dates are local dates of the site, as YYYY-MM-DD.

    `assumed`: the ones of `day` and `closes` that rest on an assumption. `held`: whether it must wait for the
    investigator's decision. `answered`: the date until which the visit, once overdue, is taken care of.
    `declined`: the subject cannot come on `day`.
    """

    code: str
    label: str
    target: str
    opens: str
    closes: str
    day: str
    status: str
    firm: bool
    on: str | None
    booked: bool
    deviation: int | None
    off_target: int | None
    rung: str | None
    held: bool
    answered: str | None
    declined: bool
    assumed: list[str]


class FlagLine(TypedDict):
    """An open flag: its withdrawal criterion, and the site's date since which it waits.

    `assumed`: whether the criterion rests on an assumption.
    """

    criterion: str
    since: str
    assumed: bool


class DeviationLine(TypedDict):
    """An important deviation that is not assessed, and the site's date on which it began."""

    id: str
    category: DeviationCategory
    visit: str | None
    since: str


class ReportLine(TypedDict):
    """A safety report still to be submitted: its matter, and its limit as an instant in UTC.

    `what` is an adverse event's number, PREGNANCY or DEATH. `assumed`: whether the limit is an assumption.
    """

    what: str
    deadline: str
    assumed: bool


class UndeliveredLine(TypedDict):
    """A notice that a recipient did not get in several sends; `since` is an instant in UTC."""

    key: str
    step: str
    audience: str
    since: str
    failures: int
    error: str


class ConsentLine(TypedDict):
    """A consent that is not given yet: due by age, or asked for anew by a protocol `version`."""

    kind: Literal["consent", "assent", "majority"]
    version: str | None


class Card(TypedDict):
    """The part of a subject that the board needs, as JSON types; dates are the site's, as YYYY-MM-DD.

    `form` is the version of this module that made it. `decided` is the instant (UTC) of the decision that it
    shows. `fatal` and `death` are the dates since which the record of a death, or of the event that led to
    one, is waited for. `progress` is in per cent. `handed` counts the notices whose hand-over has begun,
    `queued` those that have not reached all their recipients, and `sends` the sends of these that have ended.
    """

    form: int
    seq: int
    decided: str
    code: str
    site: str
    zone: str
    enrolled: str
    state: str
    message: str
    status: str
    tags: list[str]
    exit: str | None
    visits: list[VisitLine]
    flags: list[FlagLine]
    fatal: str | None
    consents: list[ConsentLine]
    deviations: list[DeviationLine]
    disposition: bool
    death: str | None
    clocks: list[ReportLine]
    undelivered: list[UndeliveredLine]
    progress: float
    handed: int
    queued: int
    sends: int


def read_card(body: object) -> Card | None:
    """The card that was kept as `body`; None for a damaged one and for one that another version has made."""
    if not isinstance(body, dict) or body.get("form") != FORM:
        return None
    return cast("Card", body)


def card(story: Story) -> Card:
    """The card of a subject."""
    state, decision = story.subject_state, story.decision
    queued = {each.key for each in story.notices if each.status == "queued"}
    return {
        "form": FORM,
        "seq": story.record.seq,
        "decided": instant(story.record.advanced_at),
        "code": story.code,
        "site": state.subject.enrolled.site,
        "zone": state.subject.site.time_zone,
        "enrolled": state.subject.enrolled.on.isoformat(),
        "state": decision.state,
        "message": decision.message,
        "status": decision.status,
        "tags": list(decision.tags),
        "exit": state.exit.on.isoformat() if state.exit else None,
        "visits": [_visit(story, planned) for planned in state.visits],
        "flags": [
            {
                "criterion": flag.criterion,
                "since": flagged_on(state, flag).isoformat(),
                "assumed": state.protocol.criteria[flag.criterion].source == "assumption",
            }
            for flag in state.open_flags
        ],
        "fatal": fatal.isoformat() if (fatal := fatal_since(state)) else None,
        "consents": [] if state.exit else list(_consents(state)),
        "deviations": [
            {"id": each.id, "category": each.category, "visit": each.visit, "since": each.on.isoformat()}
            for each in deviations(state)
            if each.waits
        ],
        "disposition": state.awaiting_disposition,
        "death": died.isoformat() if (died := unexplained_death(story)) else None,
        "clocks": list(_clocks(story)),
        "undelivered": list(_undelivered(story)),
        "progress": progress(story),
        "handed": sum(each.handed_at is not None for each in story.notices),
        "queued": len(queued),
        "sends": sum(each.outcome is not None for each in story.record.attempts if each.notice in queued),
    }


def _consents(state: SubjectState) -> Iterator[ConsentLine]:
    for kind in open_consents(state):
        yield {"kind": kind, "version": None}
    for asked in consents_asked_anew(state):
        yield {"kind": asked.kind, "version": asked.version}


def progress(story: Story) -> float:
    """The share of the subject's visits that are settled, in per cent; 100 after exit."""
    visits = story.subject_state.visits
    return (
        100.0
        if story.subject_state.exit
        else round(100 * sum(v.outcome is not None for v in visits) / len(visits), 1)
    )


def _visit(story: Story, planned: PlannedVisit) -> VisitLine:
    on = planned.on
    return {
        "code": planned.code,
        "label": planned.visit.label,
        "target": planned.target.isoformat(),
        "opens": planned.opens.isoformat(),
        "closes": planned.closes.isoformat(),
        "day": planned.day.isoformat(),
        "status": planned.status(story.subject_state.today),
        "firm": planned.firm,
        "on": on.isoformat() if on else None,
        "booked": planned.booked is not None,
        "deviation": planned.deviation_days,
        "off_target": (on - planned.target).days if on else None,
        "rung": _rung(story, planned),
        "held": is_held(story.subject_state, planned),
        "answered": _answered(story.subject_state, planned),
        "declined": declined(story.subject_state.subject, planned) is not None,
        "assumed": list(_assumed(story.subject_state, planned)),
    }


def _assumed(state: SubjectState, planned: PlannedVisit) -> Iterator[str]:
    if planned.booked is None and target_assumed(planned, state.visits):
        yield "day"
    if window_assumed(planned, state.visits):
        yield "closes"


def flagged_on(state: SubjectState, flag: Flag) -> date:
    """The site's date of the report that raised a flag."""
    return state.subject.site.date_of(flag.at)


def unexplained_death(story: Story) -> date | None:
    """The site's date since which a death lacks its adverse event; None when none lacks it."""
    asked = (
        each.due
        for each in story.decision.wanted_notices
        if each.step == "sae" and each.fact and isinstance(each.fact.data, Died)
    )
    since = min(asked, default=None)
    return story.subject_state.subject.site.date_of(since) if since else None


def fatal_since(state: SubjectState) -> date | None:
    """The site's date since which a fatal adverse event waits for the record of the death; else None."""
    fatal = state.unrecorded_death
    return state.subject.site.date_of(fatal.since) if fatal else None


def is_held(state: SubjectState, planned: PlannedVisit) -> bool:
    """Whether a visit waits for the investigator: an infusion on hold, any visit behind a fatal event."""
    return planned.outcome is None and state.held(planned)


def _answered(state: SubjectState, planned: PlannedVisit) -> str | None:
    """The date until which an overdue visit is, or was, taken care of; None when it never was."""
    if planned.status(state.today) != "overdue":
        return None
    days = [each.until for each in acknowledged(planned, state.subject)]
    return max(days).isoformat() if days else None


def _rung(story: Story, planned: PlannedVisit) -> str | None:
    """The audience of the newest rung to which the visit has been escalated; None before the first."""
    climbed = [
        wanted
        for wanted in story.decision.due()
        if wanted.kind == "escalation" and wanted.visit == planned.code
    ]
    return max(climbed, key=lambda wanted: wanted.due).audience if climbed else None


def _clocks(story: Story) -> list[ReportLine]:
    """The safety reports that are still to be submitted, each with its matter and its limit."""
    rule = story.subject_state.protocol.alerts["sae"]
    last = rule.clock_hours[-1]
    last_calls = {
        wanted.event: wanted
        for wanted in story.decision.wanted_notices
        if wanted.alert == "sae" and wanted.number == last
    }
    assumed = rule.source == "assumption"
    return [
        {"what": _reported(wanted.fact), "deadline": instant(wanted.due), "assumed": assumed}
        for wanted in last_calls.values()
    ]


def _reported(fact: Event | None) -> str:
    """The matter of a safety report: an adverse event by its number, a pregnancy, a death."""
    if fact and isinstance(fact.data, AdverseEvent):
        return fact.data.ae
    return DEATH if fact and isinstance(fact.data, Died) else PREGNANCY


def _undelivered(story: Story) -> Iterator[UndeliveredLine]:
    for notice in story.notices:
        outcome = story.record.outcome(notice)
        if notice.status == "queued" and outcome.without_success >= FAILURES_SHOWN:
            yield {
                "key": notice.key,
                "step": notice.step,
                "audience": notice.audience,
                "since": instant(notice.queued_at),
                "failures": outcome.without_success,
                "error": outcome.error,
            }
