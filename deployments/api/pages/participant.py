"""The subject's own page behind a reminder: I come, I cannot come, no more reminders.

It shows what the message said, and nothing of the study: others may read the phone. The encrypted link is
what permits it, for as long as the appointment lies ahead. Opening it states nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from deployments.api.http.dependencies import ApiContext, Dependencies
from deployments.api.http.form_body import read_form
from deployments.api.http.languages import asked_for
from deployments.api.http.problems import Problem
from deployments.api.pages.render import page, refusal
from deployments.api.pages.words import PARTICIPANT, Language
from deployments.api.recording import take_in
from flows.study.roles import Speaker
from itp_events.errors import BadInput, ItpError, Refused
from itp_events.events import Answered, ContactAgreed, Event
from itp_events.rules.contact import agreement, answer_of, date_agreed
from itp_events.rules.state import SubjectState, subject_state
from itp_events.rules.subject import as_data, fold
from itp_events.rules.windows import PlannedVisit
from tasks.database.queries import history, subject
from tasks.delivery.links import Appointment
from tasks.text.wording import day_in

SOURCE = "participant-link"
BY = "participant"
# Whoever holds the phone.
HOLDER = Speaker(door="page")
STOP = "stop"
ANSWERS = ("coming", "not-coming", STOP)
# Changes of mind of one subject on one day; more are no person's.
MOST_A_DAY = 12

router = APIRouter(include_in_schema=False)


@router.get("/p/{sealed}", response_class=HTMLResponse)
def ask(sealed: str, request: Request, api: Dependencies) -> HTMLResponse:
    """Show the day and the answers."""
    language = _unknown(request, api)
    try:
        now = api.study.clock.now()
        about = api.links.read_appointment(sealed, now)
        state = _state(api, about, now)
        language = about.language or state.subject.site.language
        return _ask(about, state, language)
    except ItpError as error:
        return _refused(error, language)


@router.post("/p/{sealed}", response_class=HTMLResponse)
async def answer(sealed: str, request: Request, api: Dependencies) -> HTMLResponse:
    """Record an answer; the same answer twice is recorded once."""
    try:
        return await api.in_door(_answer, api, sealed, await read_form(request))
    except ItpError as error:
        return _refused(error, _unknown(request, api))


def _unknown(request: Request, api: ApiContext) -> Language:
    """The language of a page about a link that cannot be read: the browser's, else the default site's."""
    return next(asked_for(request), api.study.protocol.site("default").language)


def _ask(about: Appointment, state: SubjectState, language: Language) -> HTMLResponse:
    words = PARTICIPANT[language]
    if not _stands(about, state):
        return _said(language, "over", "said-over", about)
    day = day_in(language, about.day)
    return page("participant", words["title"], language=language, w=words, day=day)


def _answer(api: ApiContext, sealed: str, form: dict[str, str]) -> HTMLResponse:
    now = api.study.clock.now()
    about = api.links.read_appointment(sealed, now)
    state = _state(api, about, now)
    language = about.language or state.subject.site.language
    try:
        return _record(api, about, state, form.get("answer", ""), language)
    except ItpError as error:
        return _refused(error, language)


def _record(
    api: ApiContext, about: Appointment, state: SubjectState, pressed: str, language: Language
) -> HTMLResponse:
    if pressed not in ANSWERS:
        raise BadInput(f"answer must be one of {', '.join(ANSWERS)}")
    if _last(about, state) == pressed:
        return _said(language, "done", f"said-{pressed}", about)
    if pressed != STOP and not _stands(about, state):
        return _said(language, "over", "said-over", about)
    mine = [event for event in state.subject.facts if event.source == SOURCE]
    if sum(state.subject.site.date_of(event.time) == state.today for event in mine) >= MOST_A_DAY:
        raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "too-many", "too many answers today")
    result = take_in(api, [_event(api, about, state, pressed, mine)], HOLDER)[0]
    # Of two presses at the same moment the second finds the first.
    if result["status"] >= HTTPStatus.BAD_REQUEST and _last(about, _state(api, about, state.now)) != pressed:
        return _said(language, "refused", "said-refused", about, HTTPStatus(result["status"]))
    return _said(language, "done", f"said-{pressed}", about)


def _said(
    language: Language, title: str, said: str, about: Appointment, status: HTTPStatus = HTTPStatus.OK
) -> HTMLResponse:
    words = PARTICIPANT[language]
    text = words[said].format(day=day_in(language, about.day))
    return page("said", words[title], status, language, said=text, refused=status >= HTTPStatus.BAD_REQUEST)


def _refused(error: ItpError, language: Language) -> HTMLResponse:
    """The page of a refusal, which says nothing of the study either."""
    words = PARTICIPANT[language]
    rule = getattr(error, "rule", None)
    return refusal(error, words["refused"], language, words.get(f"{rule}", words["said-refused"]))


def _last(about: Appointment, state: SubjectState) -> str | None:
    """The answer that stands already."""
    if agreement(state.subject) is None:
        return STOP
    planned = _planned(about, state)
    given = answer_of(state.subject, planned) if planned and planned.day == about.day else None
    return as_data(given, Answered).answer if given else None


def _stands(about: Appointment, state: SubjectState) -> bool:
    """Whether the appointment of the message is still agreed and lies ahead."""
    planned = _planned(about, state)
    if planned is None or planned.outcome or state.exit or agreement(state.subject) is None:
        return False
    return date_agreed(planned) and planned.day == about.day and state.today <= about.day


def _planned(about: Appointment, state: SubjectState) -> PlannedVisit | None:
    return next((each for each in state.visits if each.code == about.visit), None)


def _event(
    api: ApiContext, about: Appointment, state: SubjectState, pressed: str, mine: Sequence[Event]
) -> dict[str, Any]:
    stated: dict[str, Any] = {"by": BY}
    if pressed == STOP:
        kind, more = ContactAgreed.type, {"agreed": False, "on": state.today.isoformat()}
    else:
        kind, more = Answered.type, {"visit": about.visit, "on": about.day.isoformat(), "answer": pressed}
    return {
        "specversion": "1.0",
        "id": _next_id(api, about, len(mine) + 1),
        "source": SOURCE,
        "type": kind,
        "subject": about.subject,
        "time": state.now.isoformat(),
        "data": stated | more,
    }


def _next_id(api: ApiContext, about: Appointment, number: int) -> str:
    """The id of the next answer: of two presses at once one counts, and the id cannot be guessed."""
    name = f"{about.subject}/{number}"
    secret = hmac.digest(api.links.key, f"participant\n{name}".encode(), hashlib.sha256)
    return f"{name}/{secret.hex()[:32]}"


def _state(api: ApiContext, about: Appointment, now: datetime) -> SubjectState:
    if subject(api.study.store, about.subject) is None:
        raise Refused("link", f"{about.subject} is not enrolled")
    return subject_state(fold(api.study.protocol, history(api.study.store, about.subject)), now)
