"""A card: what the board needs of one subject, as JSON types, kept beside the subject's row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypedDict

from itp_events.decisions import Decision
from itp_events.events import AdverseEvent, Died, Event
from itp_events.notices.alerts import open_consents
from itp_events.outputs.plan_json import instant
from itp_events.rules.assumptions import target_assumed, window_assumed
from itp_events.rules.deviations import deviations
from itp_events.rules.state import SubjectState
from itp_events.rules.windows import PlannedVisit, acknowledged
from itp_events.rules.withdrawal import Flag
from tasks.database.queries import AttemptRow, NoticeRow

Card = dict[str, Any]
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


@dataclass(frozen=True)
class Story:
    """All that is known of one subject at one instant."""

    decision: Decision
    notices: Sequence[NoticeRow]
    attempts: Sequence[AttemptRow]
    seq: int
    advanced_at: datetime

    @property
    def subject_state(self) -> SubjectState:
        """What holds for the subject."""
        return self.decision.subject_state

    @property
    def code(self) -> str:
        """The subject's code."""
        return self.subject_state.subject.code

    def tries(self, notice: NoticeRow) -> list[AttemptRow]:
        """The sends of one notice, in order."""
        return [each for each in self.attempts if each.notice == notice.key]

    def failures(self, notice: NoticeRow) -> int:
        """How many sends of a notice to one recipient, whom it has not reached, did not succeed: the most."""
        missed: Counter[str] = Counter()
        for each in self.tries(notice):
            if each.status in ("pending", "sending") and each.outcome in ("failed", "unknown"):
                missed[each.recipient] += 1
        return max(missed.values(), default=0)


def card(story: Story) -> Card:
    """The card of a subject."""
    state, decision = story.subject_state, story.decision
    return {
        "form": FORM,
        "seq": story.seq,
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
        "undelivered": [_undelivered(story, each) for each in story.notices if _is_undelivered(story, each)],
        "progress": progress(story),
        "handed": sum(each.handed_at is not None for each in story.notices),
        **_on_its_way(story),
    }


def _on_its_way(story: Story) -> dict[str, int]:
    """How many notices have not reached everybody, and how many of their sends have ended."""
    queued = {each.key for each in story.notices if each.status == "queued"}
    ended = sum(each.outcome is not None for each in story.attempts if each.notice in queued)
    return {"queued": len(queued), "sends": ended}


def looks_alike(one: Card, other: Card) -> bool:
    """Whether what is drawn of one card holds for another: nothing was recorded, passed or sent meanwhile."""
    same = all(one.get(name) == other[name] for name in ("form", "seq", "state", "handed"))
    return same and [each["status"] for each in one["visits"]] == [each["status"] for each in other["visits"]]


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


def _clocks(story: Story) -> list[dict[str, Any]]:
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


def _is_undelivered(story: Story, notice: NoticeRow) -> bool:
    return notice.status == "queued" and story.failures(notice) >= FAILURES_SHOWN


def _undelivered(story: Story, notice: NoticeRow) -> dict[str, Any]:
    error = next((each.error for each in reversed(story.tries(notice)) if each.error), None)
    return {
        "key": notice.key,
        "step": notice.step,
        "audience": notice.audience,
        "since": instant(notice.queued_at),
        "failures": story.failures(notice),
        "error": error or "no reason given",
    }
