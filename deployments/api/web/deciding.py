"""The investigator's decision: the facts that it rests on, the choices that hold, and what each will change.

What a choice will change is computed by the rules themselves, on the log with the decision added to it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from deployments.api.http.auth import Caller
from deployments.api.http.dependencies import ApiContext, Code, Dependencies
from deployments.api.http.form_body import read_form
from deployments.api.web.forms import FORMS, cloud_event, stated, wrong_fields
from deployments.api.web.in_words import InWords
from deployments.api.web.rendering import page_router, to, words_for
from deployments.api.web.stating import Page, answer, record_signed, refused, show_form, take
from deployments.api.web.subject import Entry, entries, seen_story
from deployments.api.web.viewer import Looking, Viewer, check_form
from itp_events.errors import ItpError
from itp_events.events import (
    AdverseEvent,
    Completed,
    Event,
    MedicationChanged,
    WithdrawalDecided,
    parse_event,
)
from itp_events.intake.batch import judge
from itp_events.rules.response import responses
from itp_events.rules.state import SubjectState, subject_state
from itp_events.rules.subject import fold
from itp_events.rules.windows import PlannedVisit
from tasks.board.story import Story

_FORM = FORMS["decide"]

router = page_router()


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision that holds now, the phase after it, and the visits that it changes: before and after."""

    decision: str
    phase: str
    changes: tuple[tuple[str, str, str], ...]


@router.api_route("/decide/{code}", methods=["GET", "HEAD", "POST"])
def moved(request: Request, code: Code) -> Response:
    """Lead on from the address of decisions in notices of earlier versions."""
    query = f"?{request.url.query}" if request.url.query else ""
    return to(f"/s/{code}/decide{query}")


@router.get("/s/{code}/decide")
def ask(request: Request, api: Dependencies, viewer: Looking, code: Code) -> Response:
    """Show the facts, the choices, and what each will change."""
    told = seen_story(api, viewer, code)
    entered = {"on": str(told.subject_state.today)}
    if (criterion := request.query_params.get("criterion")) in told.subject_state.protocol.criteria:
        entered["criterion"] = str(criterion)
    return show_form(request, api, viewer, _page(api, viewer, told, entered, uuid.uuid4().hex))


@router.post("/s/{code}/decide")
async def decide(request: Request, api: Dependencies, viewer: Looking, code: Code) -> Response:
    """Record a decision that an investigator signs by giving the token again."""
    given = await read_form(request)
    check_form(request, api, viewer, given)
    token = given.pop("token", "")
    told = await run_in_threadpool(seen_story, api, viewer, code)
    identity = given.get("id") or uuid.uuid4().hex
    page = await run_in_threadpool(_page, api, viewer, told, given, identity)
    return await record_signed(_decide, request, api, viewer, page, token)


def _decide(request: Request, api: ApiContext, viewer: Viewer, page: Page, signer: Caller) -> Response:
    data = stated(page.form, page.entered, page.site.zone)
    if wrong := wrong_fields(page.form, {"by": viewer.code, **data}):
        return refused(request, api, viewer, page, wrong=wrong)
    event = cloud_event(page.form, page.identity, str(page.code), viewer.code, data, api.study.clock.now())
    return answer(request, api, viewer, page, take(api, viewer, [event], signer))


def _page(api: ApiContext, viewer: Viewer, told: Story, entered: dict[str, str], identity: str) -> Page:
    state = told.subject_state
    words = words_for(viewer.language, state.subject.site)
    choices = list(_choices(api, words, told))
    criteria = [(each.criterion, words.criterion(each.criterion)) for each in state.open_flags]
    more: dict[str, Any] = {
        "template": "decide",
        "title": words.say("decide.title"),
        "state": state,
        "flags": [_flag(words, state, each) for each in state.flags if each.open],
        "events": [words.sentence(each) for each in state.subject.of(AdverseEvent)],
        "doses": list(_doses(words, state)),
        "medication": [words.sentence(each) for each in state.subject.of(MedicationChanged)],
        "earlier": _earlier(api, viewer, words, told),
        "responses": [each for each in responses(state) if each.on],
        "choices": choices,
        "phase": words.phase(told.decision.state),
    }
    offered = {"criterion": criteria}
    action = f"/s/{told.code}/decide"
    return Page(_FORM, action, state.subject.site, told.code, offered, entered, identity, more=more)


def _earlier(api: ApiContext, viewer: Viewer, words: InWords, told: Story) -> list[Entry]:
    """The decisions that stand, each with its signatures."""
    found = entries(api, viewer, words, told, (WithdrawalDecided,))
    return [each for each in found if each.stands]


def _flag(words: InWords, state: SubjectState, flag: Any) -> dict[str, str | None]:
    return {
        "criterion": words.criterion(flag.criterion),
        "since": words.day(state.subject.site.date_of(flag.at)),
        "fact": words.sentence(flag.fact) if flag.fact else None,
    }


def _doses(words: InWords, state: SubjectState) -> Iterator[str]:
    for planned in state.visits:
        given = planned.event.data if planned.event else None
        if isinstance(given, Completed) and given.cells_given is not None:
            yield f"{planned.code}, {words.day(given.on)}: {words.cells(given.cells_given)}"


def _choices(api: ApiContext, words: InWords, told: Story) -> Iterator[Choice]:
    """The decisions that the study's rules would take in now, for everything that is open."""
    for decision in _FORM.fields[1].choices:
        event = _tried(words, told, decision)
        (verdict,) = judge(api.study.protocol, told.record.events, [event], told.subject_state.now).verdicts
        if verdict.status != "refused":
            yield _choice(words, told, decision, event)


def _tried(words: InWords, told: Story, decision: str) -> Event:
    state = told.subject_state
    data = {"decision": decision, "reason": words.say("decide.title"), "on": str(state.today)}
    return parse_event(cloud_event(_FORM, "tried", told.code, "tried", data, state.now))


def _choice(words: InWords, told: Story, decision: str, event: Event) -> Choice:
    state = told.subject_state
    try:
        after = subject_state(
            fold(state.protocol, [*told.record.events, event], told.record.handed), state.now
        )
    except ItpError:
        return Choice(decision, "", ())
    pairs = zip(state.visits, after.visits, strict=True)
    changes = tuple(
        (words.visit(before.visit, before.code), _shown(words, state, before), _shown(words, after, later))
        for before, later in pairs
        if _shown(words, state, before) != _shown(words, after, later)
    )
    return Choice(decision, words.phase(after.phase), changes)


def _shown(words: InWords, state: SubjectState, planned: PlannedVisit) -> str:
    status = words.say(f"status.{planned.status(state.today)}")
    held = f" ({words.say('today.held')})" if state.held(planned) and not planned.outcome else ""
    return f"{status}{held}, {words.day(planned.on or planned.target)}"
