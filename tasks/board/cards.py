"""A card: what the board needs of one subject, as JSON types, kept beside the subject's row.

How it is kept and read back from the database: `tasks.board.keeping` and `tasks.board.reading`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import TypedDict, cast

from itp_events.events import AdverseEvent, Died, Event
from itp_events.notices.alerts import open_consents
from itp_events.outputs.plan_json import instant
from itp_events.protocol.model import DeviationCategory
from itp_events.rules.assumptions import target_assumed, window_assumed
from itp_events.rules.deviations import deviations
from itp_events.rules.state import SubjectState
from itp_events.rules.windows import PlannedVisit, acknowledged
from itp_events.rules.withdrawal import Flag
from tasks.board.story import Story

# What a card holds, counted up whenever that changes: an older one that is still kept is made anew.
FORM = 5
PREGNANCY, DEATH = "pregnancy", "death"
# A notice that one of its recipients did not get in so many sends is shown as undelivered.
FAILURES_SHOWN = 3


class VisitLine(TypedDict):
    """A visit on a card; dates are local dates of the site, as YYYY-MM-DD.

    `assumed`: which of `day` and `closes` rest on an assumption. `held`: it must not be done before the
    investigator has decided. `answered`: until when somebody said that
    it is being taken care of, once it is overdue.
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
    assumed: list[str]


class FlagLine(TypedDict):
    """An open flag on a card: its withdrawal criterion, and the site's date since when it waits.

    `assumed`: whether the criterion rests on an assumption.
    """

    criterion: str
    since: str
    assumed: bool


class DeviationLine(TypedDict):
    """An important deviation that nobody has assessed, and the site's date since when it stands."""

    id: str
    category: DeviationCategory
    visit: str | None
    since: str


class ReportLine(TypedDict):
    """A safety report still to be submitted: what it is about, and its limit as an instant in UTC.

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


class Card(TypedDict):
    """What the board needs of one subject, as JSON types; dates are local dates of the site, as YYYY-MM-DD.

    `form` says which version of this module made it. `fatal` and `death` are the dates since when the record
    of a death, or the event that led to one, is waited for. `progress` is in per cent. `handed` counts the
    notices whose hand-over has begun, `queued` those that have not reached everybody, and `sends` how many
    sends of these have ended.
    """

    form: int
    seq: int
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
    consents: list[str]
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
    """The card that was kept as `body`; None for one that is damaged or that another version has made."""
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
        "consents": [] if state.exit else list(open_consents(state)),
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


def looks_alike(one: Card, other: Card) -> bool:
    """Whether what is drawn of one card holds for another: nothing was recorded, passed or sent meanwhile."""
    return _drawn(one) == _drawn(other)


def _drawn(card: Card) -> tuple[object, ...]:
    return card["seq"], card["state"], card["handed"], [visit["status"] for visit in card["visits"]]


def progress(story: Story) -> float:
    """How far the subject has come, in per cent: visits that are settled, everything after exit."""
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
        "assumed": list(_assumed(story.subject_state, planned)),
    }


def _assumed(state: SubjectState, planned: PlannedVisit) -> Iterator[str]:
    if planned.booked is None and target_assumed(planned, state.visits):
        yield "day"
    if window_assumed(planned, state.visits):
        yield "closes"


def flagged_on(state: SubjectState, flag: Flag) -> date:
    """Since when a flag waits: the site's date on which its reason was reported, not of its happening."""
    return state.subject.site.date_of(flag.at)


def unexplained_death(story: Story) -> date | None:
    """The site's date since when the serious adverse event of a death is waited for; None when it is not."""
    asked = (
        each.due
        for each in story.decision.wanted_notices
        if each.step == "sae" and each.fact and isinstance(each.fact.data, Died)
    )
    since = min(asked, default=None)
    return story.subject_state.subject.site.date_of(since) if since else None


def fatal_since(state: SubjectState) -> date | None:
    """The site's date since when a fatal adverse event waits for the death's record; else None."""
    fatal = state.unrecorded_death
    return state.subject.site.date_of(fatal.since) if fatal else None


def is_held(state: SubjectState, planned: PlannedVisit) -> bool:
    """Whether a visit waits for the investigator: an infusion on hold, any visit behind a fatal event."""
    return planned.outcome is None and state.held(planned)


def _answered(state: SubjectState, planned: PlannedVisit) -> str | None:
    """Until when somebody takes care, or took care, of an overdue visit; None when nobody ever did."""
    if planned.status(state.today) != "overdue":
        return None
    days = [each.until for each in acknowledged(planned.code, state.subject)]
    return max(days).isoformat() if days else None


def _rung(story: Story, planned: PlannedVisit) -> str | None:
    """To whom the visit has been escalated so far: the audience of the newest rung that stands."""
    found = [
        wanted
        for wanted in story.decision.due()
        if wanted.kind == "escalation" and wanted.visit == planned.code
    ]
    return max(found, key=lambda wanted: wanted.due).audience if found else None


def _clocks(story: Story) -> list[ReportLine]:
    """The safety reports that are still to be submitted, each with what it is about and its limit."""
    rule = story.subject_state.protocol.alerts["sae"]
    last = rule.clock_hours[-1]
    found = {
        wanted.event: wanted
        for wanted in story.decision.wanted_notices
        if wanted.alert == "sae" and wanted.number == last
    }
    assumed = rule.source == "assumption"
    return [
        {"what": _reported(wanted.fact), "deadline": instant(wanted.due), "assumed": assumed}
        for wanted in found.values()
    ]


def _reported(fact: Event | None) -> str:
    """What a safety report is about: an adverse event by its number, a pregnancy, a death."""
    if fact and isinstance(fact.data, AdverseEvent):
        return fact.data.ae
    return DEATH if fact and isinstance(fact.data, Died) else PREGNANCY


def _undelivered(story: Story) -> Iterator[UndeliveredLine]:
    for notice in story.notices:
        found = story.record.outcome(notice)
        if notice.status == "queued" and found.without_success >= FAILURES_SHOWN:
            yield {
                "key": notice.key,
                "step": notice.step,
                "audience": notice.audience,
                "since": instant(notice.queued_at),
                "failures": found.without_success,
                "error": found.error,
            }
