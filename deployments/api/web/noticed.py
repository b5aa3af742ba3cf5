"""The page of what a notice speaks of: who has taken it already, and what can be stated with one more tap.

The link's signature is what permits it, for a time; to state something one signs in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from deployments.api.http.dependencies import Dependencies
from deployments.api.web.forms import FORMS
from deployments.api.web.in_words import InWords
from deployments.api.web.rendering import page_router, show, words_for
from deployments.api.web.viewer import find_viewer, language_of
from deployments.api.web.waiting import Action, Day, act_on, dates_of, form_path
from itp_events.errors import Refused
from itp_events.events import (
    Acknowledged,
    Booked,
    Completed,
    Event,
    Missed,
    SaeSubmitted,
    WithdrawalDecided,
)
from itp_events.notices.steps import Step
from itp_events.rules.subject import not_voided
from itp_events.rules.windows import PlannedVisit
from tasks.board.cards import card
from tasks.board.story import Story, story
from tasks.database.queries import subject
from tasks.delivery.links import Matter

_OF_VISITS = (Booked, Completed, Missed, Acknowledged)
# The form with which a notice that is about no visit is answered, by its step.
_FORMS = {
    "sae": "submission",
    "majority": "consent-given",
    "assent": "consent-given",
    "death-unrecorded": "death",
    "flag": "decide",
    "decision": "decide",
    "disposition": "decide",
}

router = page_router()


@router.get("/n/{signed}")
def page(request: Request, api: Dependencies, signed: str) -> Response:
    """Show what a notice speaks of. Opening it changes nothing."""
    now = api.study.clock.now()
    matter = api.links.read_matter(signed, now)
    row = subject(api.study.store, matter.subject)
    if row is None:
        raise Refused("enrolment", f"{matter.subject} is not enrolled; record itp.subject.enrolled first")
    site = api.study.protocol.site(row.site)
    viewer = find_viewer(request, api)
    language = viewer.language if viewer else language_of(request, api)
    words = words_for(language, site)
    known = api.study.protocol.by_code.get(matter.visit or "")
    name = words.visit(known, matter.visit) if matter.visit else None
    title = words.say("link.title", visit=name, subject=row.code) if name else None
    told = story(api.study.store, api.study.protocol, row.code, now)
    planned = _planned(matter, told)
    day = Day(now, api.study.protocol, words)
    facts: dict[str, Any] = {
        "code": row.code,
        "dates": dates_of(day, card(told), matter.visit) if matter.visit else None,
        "phase": words.phase(row.state),
        "taken": list(_taken(words, matter, not_voided(line.event for line in told.record.log))),
        "offered": tuple(_actions(matter, told)),
        "settled": planned is not None and planned.outcome is not None,
    }
    title = title or words.say("link.subject", subject=row.code)
    return show(request, api, "notice", title, viewer=viewer, site=site, language=language, **facts)


def _taken(words: InWords, matter: Matter, facts: Sequence[Event]) -> Iterator[str]:
    """The statements about it so far: the kind, the date and the person, and no result."""
    for event in facts:
        if not _about(matter, event):
            continue
        on = getattr(event.data, "on", None) or getattr(event.data, "until", None)
        kind = words.say(f"type.{event.type}")
        sentence = words.say("link.kind", kind=kind, day=words.day(on)) if on else kind
        yield words.say("link.taken", sentence=sentence, by=event.data.by)


def _about(matter: Matter, event: Event) -> bool:
    data = event.data
    if matter.visit:
        return isinstance(data, _OF_VISITS) and data.visit == matter.visit
    if isinstance(data, SaeSubmitted):
        return data.ae == matter.ae
    return isinstance(data, WithdrawalDecided) and _FORMS.get(Step.read(matter.step).family) == "decide"


def _planned(matter: Matter, told: Story) -> PlannedVisit | None:
    return next((each for each in told.subject_state.visits if each.code == matter.visit), None)


def _actions(matter: Matter, told: Story) -> Iterator[Action]:
    code, planned = told.code, _planned(matter, told)
    if planned is not None:
        yield from _of_visit(told, planned)
    answered_by = _FORMS.get(Step.read(matter.step).family)
    if answered_by is not None:
        given = {"ae": matter.ae} if answered_by == "submission" and matter.ae else {}
        yield Action(f"form.{answered_by}", form_path(code, answered_by, **given), FORMS[answered_by].role)


def _of_visit(told: Story, planned: PlannedVisit) -> Iterator[Action]:
    """The statements about a visit that fit now, the likeliest first; one made already can be corrected."""
    if planned.event is not None:
        seq = next(line.seq for line in told.record.log if line.event.key == planned.event.key)
        yield Action("subject.correct", form_path(told.code, f"correct/{seq}"))
    elif not told.subject_state.exit:
        for act in _acts(planned, told.subject_state.today):
            yield act_on(told.code, planned.code, act)


def _acts(planned: PlannedVisit, today: date) -> tuple[str, ...]:
    if planned.outcome is not None:
        # The service counts it as missed, for want of a record.
        return ("done", "missed") if planned.outcome == "missed" else ()
    book = "move" if planned.booked else "book"
    is_due = today >= planned.day if planned.booked else today > planned.closes
    return ("done", book, "missed") if is_due else (book, "done", "missed")
