"""Correcting an entry: it is taken back, and stated anew, in one batch; nothing is edited."""

from __future__ import annotations

import uuid
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from deployments.api.http.auth import Caller
from deployments.api.http.dependencies import ApiContext, Code, Dependencies
from deployments.api.http.form_body import read_form
from deployments.api.http.problems import Problem
from deployments.api.web.forms import (
    FORM_OF,
    SOURCE,
    Form,
    Wrong,
    cloud_event,
    entered_of,
    stated,
    wrong_fields,
)
from deployments.api.web.hints import hints
from deployments.api.web.rendering import page_router, words_for
from deployments.api.web.stating import (
    Outcome,
    Page,
    answer,
    offered,
    record_signed,
    refused,
    show_form,
    take,
)
from deployments.api.web.subject import seen_story
from deployments.api.web.viewer import Looking, Viewer, check_form
from itp_events.errors import Refused
from itp_events.events import Event, Voided
from itp_events.rules.subject import not_voided
from tasks.board.story import Story
from tasks.database.queries import recorded

_LONGEST_REASON = 500

router = page_router()


@router.get("/s/{code}/correct/{seq}")
def ask(request: Request, api: Dependencies, viewer: Looking, code: Code, seq: int) -> Response:
    """Show an entry in its form, to be changed."""
    told = seen_story(api, viewer, code)
    event, form = _entry(viewer, told, seq)
    if event not in not_voided(told.record.events):
        raise Refused("void", words_for(viewer.language, told.subject_state.subject.site).say("correct.gone"))
    entered = entered_of(form, event.to_json()["data"], told.subject_state.subject.site.zone)
    return show_form(request, api, viewer, _page(viewer, told, event, form, entered, seq, uuid.uuid4().hex))


@router.post("/s/{code}/correct/{seq}")
async def correct(request: Request, api: Dependencies, viewer: Looking, code: Code, seq: int) -> Response:
    """Take an entry back, and state it anew unless it is only to be taken back."""
    given = await read_form(request)
    check_form(request, api, viewer, given)
    told = await run_in_threadpool(seen_story, api, viewer, code)
    event, form = _entry(viewer, told, seq)
    identity = given.get("id") or uuid.uuid4().hex
    secret = given.pop("token", "")
    page = _page(viewer, told, event, form, given, seq, identity)
    return await record_signed(_correct, request, api, viewer, page, secret, event)


def _correct(
    request: Request, api: ApiContext, viewer: Viewer, page: Page, event: Event, signer: Caller | None
) -> Response:
    reason, now = page.entered.get("why", "").strip(), api.study.clock.now()
    alone = bool(page.entered.get("alone"))
    data = event.to_json()["data"] if alone else _restated(page, event)
    data.pop("by", None)
    wrong = wrong_fields(page.form, {"by": viewer.code, **data})
    if not reason:
        wrong.append(Wrong("why", "missing", "", {}))
    elif len(reason) > _LONGEST_REASON:
        wrong.append(Wrong("why", "string_too_long", "", {"max_length": _LONGEST_REASON}))
    if wrong:
        return refused(request, api, viewer, page, wrong=wrong)
    again = cloud_event(page.form, page.identity, event.subject, viewer.code, data, now)
    reference = {"source": event.source, "id": event.id}
    void = again | {
        "id": f"{page.identity}-void",
        "type": Voided.type,
        "data": {"by": viewer.code, "event": reference, "reason": reason},
    }
    if recorded(api.study.store, (SOURCE, str(void["id"]))):
        # Pressed twice: the first press has taken the entry back.
        outcome = Outcome("again")
    else:
        outcome = take(api, viewer, [void] if alone else [void, again], signer)
    if alone and outcome.kind != "refused":
        # The answer tells of the void, which bears an id of its own.
        page = replace(page, identity=str(void["id"]))
    return answer(request, api, viewer, page, outcome)


def _restated(page: Page, event: Event) -> dict[str, Any]:
    """The data of the entry with the form's values; what the form does not show stays as it was."""
    kept = event.to_json()["data"]
    data = stated(page.form, page.entered, page.site.zone)
    regimens = kept.get("screening", {}).get("maintenance")
    if isinstance(regimens, list) and len(regimens) > 1:
        # The form shows the first of several regimens only.
        data["screening"]["maintenance"] = regimens
    return data


def _entry(viewer: Viewer, told: Story, seq: int) -> tuple[Event, Form]:
    """The entry of a number in the subject's log, and the form that states such entries.

    Raises:
        Problem: 404 where no such entry can be corrected, 403 for a role that may not.
    """
    event = next((line.event for line in told.record.log if line.seq == seq), None)
    form = FORM_OF.get(type(event.data)) if event and not event.own else None
    if event is None or form is None:
        raise Problem(HTTPStatus.NOT_FOUND, "subject", "there is no such form")
    if not viewer.may(form.role) or not viewer.may("recorder"):
        said = f"this needs a token of role {form.role}; yours is of role {viewer.role}"
        raise Problem(HTTPStatus.FORBIDDEN, "role", said)
    return event, form


def _page(
    viewer: Viewer, told: Story, event: Event, form: Form, entered: dict[str, str], seq: int, identity: str
) -> Page:
    state = told.subject_state
    words = words_for(viewer.language, state.subject.site)
    choices = offered(form, state, words)
    if "visit" in form.paths:
        choices["visit"] = [(each.code, words.visit(each.visit, each.code)) for each in state.visits]
    more = {
        "template": "correct",
        "title": words.say("correct.title"),
        "was": words.sentence(event),
        "may_take_back": form.name != "enrol",
    }
    action = f"/s/{told.code}/correct/{seq}"
    told_beside = hints(form, state, words, entered)
    site = state.subject.site
    return Page(form, action, site, told.code, choices, entered, identity, hints=told_beside, more=more)
