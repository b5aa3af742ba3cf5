"""The forms' pages: each shows a form, and records what it states through the door of the pages.

A refusal shows the form again with what was entered, below the sentence that every door gives. A form that is
sent twice counts once: its id is made when it is shown.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from http import HTTPStatus
from typing import Any

from anyio import to_thread
from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from deployments.api.http.auth import Caller
from deployments.api.http.dependencies import ApiContext, Code, Dependencies
from deployments.api.http.form_body import read_form
from deployments.api.http.problems import Problem
from deployments.api.http.refused import note_refusal
from deployments.api.recording import take_in
from deployments.api.web.fields import Field
from deployments.api.web.forms import (
    FORMS,
    SOURCE,
    Form,
    Wrong,
    cloud_event,
    stated,
    wrong_fields,
)
from deployments.api.web.hints import hints
from deployments.api.web.in_words import InWords
from deployments.api.web.once import Once
from deployments.api.web.proving import prove_again
from deployments.api.web.rendering import HEADERS, page_router, show, to, wants_json, words_for
from deployments.api.web.subject import seen_story
from deployments.api.web.viewer import Looking, Viewer, check_form
from itp_events.events import AdverseEvent, DeviationAssessed, Pregnancy, SaeSubmitted
from itp_events.protocol.model import Site
from itp_events.rules.deviations import deviations
from itp_events.rules.state import SubjectState
from itp_events.rules.subject import as_data
from tasks.database.queries import recorded

_RULE = "urn:itp:problem:"

router = page_router()


@dataclass(frozen=True, slots=True)
class Page:
    """A form as it is shown: where it is sent, about whom, with what is offered and what was entered."""

    form: Form
    action: str
    site: Site
    code: str | None
    offered: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    entered: Mapping[str, str] = field(default_factory=dict)
    identity: str = field(default_factory=lambda: uuid.uuid4().hex)
    wrong: Sequence[Wrong] = ()
    refused: str = ""
    rule: str = ""
    # What the subject's own plan says beside a field, by its path.
    hints: Mapping[str, str] = field(default_factory=dict)
    # Further facts of a page that has more than a form.
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The door's answer: recorded, sent before (`again`, or `stands` with other content), or refused."""

    kind: str
    said: str = ""
    rule: str = ""
    status: HTTPStatus = HTTPStatus.OK
    field: str = ""


def form_named(name: str, viewer: Viewer) -> Form:
    """The form of a name, for somebody whose role may send it.

    Raises:
        Problem: 404 for an unknown name, 403 for a role that may not send it.
    """
    if name not in FORMS or name == "decide":
        raise Problem(HTTPStatus.NOT_FOUND, "subject", "there is no such form")
    form = FORMS[name]
    if not viewer.may(form.role) or not viewer.may("recorder"):
        said = f"this needs a token of role {form.role}; yours is of role {viewer.role}"
        raise Problem(HTTPStatus.FORBIDDEN, "role", said)
    return form


@router.get("/enrol")
def enrol(request: Request, api: Dependencies, viewer: Looking) -> Response:
    """Show the form of an enrolment."""
    form = form_named("enrol", viewer)
    site = api.study.protocol.site("default")
    entered = {"site": _first_site(api, viewer), "on": str(site.date_of(api.study.clock.now()))}
    entered |= {"consent_by": "subject"}
    return show_form(request, api, viewer, Page(form, "/enrol", site, None, entered=entered))


@router.post("/enrol")
async def record_enrolment(request: Request, api: Dependencies, viewer: Looking) -> Response:
    """Record an enrolment."""
    form = form_named("enrol", viewer)
    given = await read_form(request)
    check_form(request, api, viewer, given)
    code = given.get("subject", "").strip()
    site = api.study.protocol.site(given.get("site", "default"))
    page = Page(form, "/enrol", site, None, entered=given, identity=given.get("id") or uuid.uuid4().hex)
    return await api.in_door(_record, request, api, viewer, page, code)


@router.get("/s/{code}/{name}")
def ask(request: Request, api: Dependencies, viewer: Looking, code: Code, name: str) -> Response:
    """Show a form about a subject, with values from the address filled in."""
    form = form_named(name, viewer)
    state = seen_story(api, viewer, code).subject_state
    words = words_for(viewer.language, state.subject.site)
    entered = _proposed(form, state) | {
        path: request.query_params[path] for path in form.paths if path in request.query_params
    }
    if form.name == "book" and (on := proposed_date(state, entered.get("visit", ""))):
        entered.setdefault("on", str(on))
    page = _page(form, state, words, entered, uuid.uuid4().hex)
    return show_form(request, api, viewer, page)


@router.post("/s/{code}/{name}")
async def record(request: Request, api: Dependencies, viewer: Looking, code: Code, name: str) -> Response:
    """Record what a form states about a subject."""
    form = form_named(name, viewer)
    given = await read_form(request)
    check_form(request, api, viewer, given)
    told = await run_in_threadpool(seen_story, api, viewer, code)
    state = told.subject_state
    words = words_for(viewer.language, state.subject.site)
    identity = given.get("id") or uuid.uuid4().hex
    secret = given.pop("token", "")
    page = _page(form, state, words, given, identity)
    return await record_signed(_record, request, api, viewer, page, secret, told.code)


def _page(form: Form, state: SubjectState, words: InWords, entered: Mapping[str, str], identity: str) -> Page:
    code, site = state.subject.code, state.subject.site
    beside = hints(form, state, words, entered)
    choices = offered(form, state, words)
    return Page(form, f"/s/{code}/{form.name}", site, code, choices, entered, identity, hints=beside)


async def record_signed(
    step: Callable[..., Response],
    request: Request,
    api: ApiContext,
    viewer: Viewer,
    page: Page,
    secret: str,
    *given: Any,
) -> Response:
    """Record by `step` what a form states. One that is signed asks for the password, or a token, once more;
    `step` gets its signer behind `given`, and the form is shown again when the password is wrong.
    """
    signer = None
    if page.form.is_signed:
        try:
            signer = await to_thread.run_sync(prove_again, request, api, viewer, secret, limiter=api.sign_ins)
        except Problem as error:
            await note_refusal(request, error, "page")
            outcome = Outcome("refused", str(error), error.rule, error.status)
            return await run_in_threadpool(refused, request, api, viewer, page, outcome)
    return await api.in_door(step, request, api, viewer, page, *given, signer)


def _record(
    request: Request, api: ApiContext, viewer: Viewer, page: Page, code: str, signer: Caller | None = None
) -> Response:
    data = stated(page.form, page.entered, page.site.zone)
    if wrong := [*_blanks_in(code), *wrong_fields(page.form, {"by": viewer.code, **data})]:
        return refused(request, api, viewer, page, wrong=wrong)
    event = cloud_event(page.form, page.identity, code, viewer.code, data, api.study.clock.now())
    return answer(request, api, viewer, page, take(api, viewer, [event], signer))


def _blanks_in(code: str) -> list[Wrong]:
    # With its blanks taken out a name would pass for a code, and stand in the log for good.
    return [Wrong("subject", "blank", "", {})] if len(code.split()) > 1 else []


def take(
    api: ApiContext, viewer: Viewer, events: Sequence[dict[str, Any]], signer: Caller | None = None
) -> Outcome:
    """Record events as the viewer, or as `signer`, an investigator who has proven it once more.

    The outcome is that of the last event, or of the first one that is refused.
    """
    sender = (signer or viewer.caller).sender(api, "page")
    # A correction names the entry that it takes back, and is once for that.
    once = Once(sender, str(events[0]["subject"]), api.study.clock.now()) if len(events) == 1 else sender
    results = take_in(api, events, once)
    last = results[-1]
    if last["status"] == HTTPStatus.CREATED:
        return Outcome("recorded")
    if last["status"] == HTTPStatus.OK:
        return Outcome("again")
    found = [each for each in results if each["status"] >= HTTPStatus.BAD_REQUEST]
    # What is refused together with another says the other's reason; the other has the rule.
    first = next((each for each in found if _rule(each) != "together"), found[0])
    rule = _rule(first)
    if rule == "id-reused":
        return _sent_before(api, events[-1])
    return Outcome("refused", first["detail"], rule, HTTPStatus(first["status"]), first.get("field", ""))


def _rule(result: Mapping[str, Any]) -> str:
    return str(result.get("type", "")).removeprefix(_RULE)


def _sent_before(api: ApiContext, event: Mapping[str, Any]) -> Outcome:
    """A form that was sent before: with the same content, with other content, or about somebody else."""
    known = recorded(api.study.store, (SOURCE, event["id"]))
    if known is None or known.subject.lower() != str(event["subject"]).lower():
        said = "this form's id belongs to another event; it has a new one now, send it again"
        return Outcome("refused", said, "form", HTTPStatus.CONFLICT)
    said_then = {name: value for name, value in known.to_json()["data"].items() if name != "by"}
    said_now = {name: value for name, value in event["data"].items() if name != "by"}
    return Outcome("again" if _same(said_then, said_now) else "stands")


def _same(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    # A default that the form leaves out stands in the log.
    return all(then.get(name) == value for name, value in now.items())


def answer(request: Request, api: ApiContext, viewer: Viewer, page: Page, outcome: Outcome) -> Response:
    """The answer to a form: on to the subject's page, or the form again with the refusal."""
    if outcome.kind == "refused":
        return refused(request, api, viewer, page, outcome)
    code = page.code or page.entered.get("subject", "").strip()
    if wants_json(request):
        return JSONResponse({"outcome": outcome.kind}, headers=HEADERS)
    return to(f"/s/{code}?said={outcome.kind}&id={page.identity}")


def refused(
    request: Request,
    api: ApiContext,
    viewer: Viewer,
    page: Page,
    outcome: Outcome | None = None,
    wrong: Sequence[Wrong] = (),
) -> Response:
    """The form again, with what was entered and why it was not recorded."""
    words = words_for(viewer.language, page.site)
    said = words.told(outcome.said) if outcome else ""
    status = outcome.status if outcome else HTTPStatus.UNPROCESSABLE_ENTITY
    if wants_json(request):
        named = (f"{label_of(words, page.form, each)}: {said_of(words, page.form, each)}" for each in wrong)
        return JSONResponse({"outcome": "refused", "said": said or "; ".join(named)}, status, headers=HEADERS)
    if outcome and outcome.field == "subject":
        wrong, said = [Wrong("subject", "string_pattern_mismatch", "", {})], ""
    rule = outcome.rule if outcome else ""
    identity = uuid.uuid4().hex if rule == "form" else page.identity
    again = replace(page, identity=identity, wrong=wrong, refused=said, rule=rule)
    return show_form(request, api, viewer, again, status)


def label_of(words: InWords, form: Form, wrong: Wrong) -> str:
    """The name of the field that is wrong."""
    field_ = _field(form, wrong.path)
    return words.label(form, field_) if field_ else words.say(_known(words, wrong.path))


def _known(words: InWords, path: str) -> str:
    key = f"field.{path.rpartition('.')[2]}"
    return key if words.say.has(key) else "field.subject"


def said_of(words: InWords, form: Form, wrong: Wrong) -> str:
    """The problem with a field."""
    return words.wrong(_field(form, wrong.path), wrong)


def _field(form: Form, path: str) -> Field | None:
    return next((each for each in form.fields if each.path == path), None)


def show_form(
    request: Request, api: ApiContext, viewer: Viewer, page: Page, status: HTTPStatus = HTTPStatus.OK
) -> Response:
    """The page of a form."""
    words = words_for(viewer.language, page.site)
    title = page.more.get("title") or words.say(f"form.{page.form.name}")
    wrong = {each.path: said_of(words, page.form, each) for each in page.wrong}
    return show(
        request,
        api,
        str(page.more.get("template", "form")),
        f"{title}: {page.code}" if page.code else title,
        status=status,
        viewer=viewer,
        site=page.site,
        page=page,
        form=page.form,
        wrong=wrong,
        summary=[(each.path, label_of(words, page.form, each), wrong[each.path]) for each in page.wrong],
        today=page.site.date_of(api.study.clock.now()),
        shown=[each for each in page.form.fields if _is_shown(page, each)],
        **{name: value for name, value in page.more.items() if name not in ("title", "template")},
    )


def _is_shown(page: Page, field_: Field) -> bool:
    """Whether a field is shown: `confirmed` only where a date looked too early."""
    return field_.name != "confirmed" or page.rule == "too-early" or page.entered.get(field_.path) == "yes"


def offered(form: Form, state: SubjectState, words: InWords) -> dict[str, list[tuple[str, str]]]:
    """The values to choose from that follow from the subject, by field: visits, reports, deviations."""
    found: dict[str, list[tuple[str, str]]] = {}
    if "visit" in form.paths:
        wanted = [each for each in state.visits if _may_be_named(form, each.outcome, firm=each.firm)]
        found["visit"] = [(each.code, words.visit(each.visit, each.code)) for each in wanted]
    if form.data is SaeSubmitted:
        found["ae"] = _reports(state, words)
    if form.data is DeviationAssessed:
        found["deviation"] = [
            (each.id, f"{words.deviation(each.id)}, {words.day(each.on)}") for each in deviations(state)
        ]
    return found


def _may_be_named(form: Form, outcome: str | None, *, firm: bool) -> bool:
    return outcome is None or (form.name in ("done", "missed") and outcome != "completed" and firm)


def _reports(state: SubjectState, words: InWords) -> list[tuple[str, str]]:
    numbers: dict[str, str] = {}
    for event in state.subject.of(AdverseEvent):
        data = as_data(event, AdverseEvent)
        numbers[data.ae] = f"{data.ae}: {data.term}"
    for event in state.subject.of(Pregnancy):
        numbers[event.id] = words.sentence(event)
    return list(numbers.items())


def _proposed(form: Form, state: SubjectState) -> dict[str, str]:
    """The first values of a form about a subject: today, the visit due, the next number of an event."""
    proposed: dict[str, str] = {}
    if "visit" in form.paths and state.current:
        proposed["visit"] = state.current.code
    if "on" in form.paths and form.name != "book":
        proposed["on"] = str(state.today)
    if form.data is AdverseEvent:
        proposed["ae"] = f"AE-{len(_numbers(state)) + 1}"
    if form.data is SaeSubmitted and len(known := list(_numbers(state))) == 1:
        proposed["ae"] = known[0]
    return proposed


def _numbers(state: SubjectState) -> dict[str, None]:
    return dict.fromkeys(as_data(each, AdverseEvent).ae for each in state.subject.of(AdverseEvent))


def proposed_date(state: SubjectState, code: str) -> date | None:
    """The date to propose for booking a visit: the booked one, else the working day that suits."""
    planned = next((each for each in state.visits if each.code == code), None)
    return (planned.booked or state.suggested(planned)) if planned else None


def _first_site(api: ApiContext, viewer: Viewer) -> str:
    known = (
        sorted(viewer.sites)
        if viewer.sites
        else [each for each in api.study.protocol.sites if each != "default"]
    )
    return known[0] if known else "01"
