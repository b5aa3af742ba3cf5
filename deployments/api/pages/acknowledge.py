"""Acknowledging from the notice: the link opens a page, and one press on it acknowledges.

The link's signature is what permits it, so no token is asked. Opening the page changes nothing, because mail
scanners open every link.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from deployments.api.http.dependencies import ApiContext, Dependencies
from deployments.api.pages.render import page, read_form, refusal
from deployments.api.pages.words import ACKNOWLEDGE, Language, Words
from deployments.api.recording import take_in
from flows.study.roles import Speaker
from itp_events.errors import ItpError, Refused
from itp_events.events import Acknowledged, Event, parse_event
from itp_events.intake.batch import judge
from itp_events.protocol.model import Site
from itp_events.rules.subject import as_data, not_voided
from tasks.database.queries import history, subject
from tasks.delivery.links import Call
from tasks.text.wording import filters

SOURCE = "acknowledge-link"
# Whoever holds the message, with its link.
HOLDER = Speaker(door="page")

router = APIRouter(include_in_schema=False)


@router.get("/acknowledge/{signed}", response_class=HTMLResponse)
def ask(signed: str, api: Dependencies) -> HTMLResponse:
    """Show which visit a press would acknowledge, and until when. Acknowledges nothing."""
    try:
        return _ask(api, signed, api.study.clock.now())
    except ItpError as error:
        return _refused(api, error)


@router.post("/acknowledge/{signed}", response_class=HTMLResponse)
async def acknowledge(signed: str, request: Request, api: Dependencies) -> HTMLResponse:
    """Record the acknowledgement, unless the visit has one already; pressing twice records it once."""
    try:
        return await api.in_door(_acknowledge, api, signed, await read_form(request))
    except ItpError as error:
        return _refused(api, error)


def _ask(api: ApiContext, signed: str, now: datetime) -> HTMLResponse:
    call = api.links.read(signed, now)
    site = _site(api, call)
    words, facts = ACKNOWLEDGE[site.language], history(api.study.store, call.subject)
    if taken := _taken(facts, call, site, now):
        return _already(words, site, taken)
    pressed = parse_event(_event(api, call, site, now, facts, {}))
    (verdict,) = judge(api.study.protocol, facts, [pressed], now).verdicts
    if verdict.error is not None:
        return page("said", words["nothing"], language=site.language, said=str(verdict.error), refused=False)
    asked = _asked(api, call, site, now)
    return page("acknowledge", words["title"], language=site.language, w=words, **asked)


def _acknowledge(api: ApiContext, signed: str, form: dict[str, str]) -> HTMLResponse:
    now = api.study.clock.now()
    call = api.links.read(signed, now)
    site = _site(api, call)
    words, facts = ACKNOWLEDGE[site.language], history(api.study.store, call.subject)
    if taken := _taken(facts, call, site, now):
        return _already(words, site, taken)
    stated = _event(api, call, site, now, facts, form)
    result = take_in(api, [stated], HOLDER)[0]
    if result["status"] == HTTPStatus.CREATED:
        said = _told(words, "said", site, parse_event(stated))
        return page("said", words["done"], language=site.language, said=said, refused=False)
    # Of two people who press at the same moment, the second comes here.
    if taken := _taken(history(api.study.store, call.subject), call, site, now):
        return _already(words, site, taken)
    status, detail = HTTPStatus(result["status"]), result.get("detail") or words["refused"]
    return page("said", words["refused"], status, site.language, said=detail, refused=True)


def _taken(facts: Sequence[Event], call: Call, site: Site, now: datetime) -> Event | None:
    """The acknowledgement of the link's visit; None while there is none.

    Only one that was given after the link's message was decided, or that still holds, counts: a link is good
    for one acknowledgement.
    """
    asked = next((each.time for each in facts if each.own and each.id == call.notice), None)
    given = [
        each
        for each in not_voided(facts)
        if isinstance(each.data, Acknowledged)
        and each.data.visit == call.visit
        and (asked is None or each.time >= asked or _until(each, site) > site.date_of(now))
    ]
    return max(given, key=lambda each: each.time, default=None)


def _until(event: Event, site: Site) -> date:
    return as_data(event, Acknowledged).until or _by_default(site, event.time)


def _already(words: Words, site: Site, taken: Event) -> HTMLResponse:
    said = _told(words, "again", site, taken)
    return page("said", words["taken"], language=site.language, said=said, refused=False)


def _told(words: Words, word: str, site: Site, event: Event) -> str:
    data, until = as_data(event, Acknowledged), _until(event, site)
    shown = filters(site.language, site.zone)["day"](until.isoformat())
    return words[word].format(visit=data.visit, subject=event.subject, until=shown, by=data.by)


def _refused(api: ApiContext, error: ItpError) -> HTMLResponse:
    """The page of a refusal in the study's language: an unverified link names no site."""
    language: Language = api.study.protocol.site("default").language
    words = ACKNOWLEDGE[language]
    said = words.get(error.rule) if isinstance(error, Refused) else None
    return refusal(error, words["refused"], language, said)


def _event(
    api: ApiContext, call: Call, site: Site, now: datetime, facts: Sequence[Event], form: dict[str, str]
) -> dict[str, Any]:
    until = form.get("until") or _by_default(site, now).isoformat()
    return {
        "specversion": "1.0",
        "id": _next_id(api, call, facts),
        "source": SOURCE,
        "type": Acknowledged.type,
        "subject": call.subject,
        "time": now.isoformat(),
        "data": {"by": form.get("by") or call.audience, "visit": call.visit, "until": until},
    }


def _next_id(api: ApiContext, call: Call, facts: Sequence[Event]) -> str:
    """The id of the next acknowledgement: of two presses at once one counts, and the id cannot be guessed."""
    given = sum(isinstance(each.data, Acknowledged) and each.data.visit == call.visit for each in facts)
    name = f"{call.subject}/{call.visit}/{given + 1}"
    secret = hmac.digest(api.links.key, f"acknowledged\n{name}".encode(), hashlib.sha256)
    return f"{name}/{secret.hex()[:32]}"


def _asked(api: ApiContext, call: Call, site: Site, now: datetime) -> dict[str, Any]:
    today = site.date_of(now)
    most = timedelta(days=api.study.protocol.ladder.acknowledged_at_most_days)
    dates = {"until": _by_default(site, now), "first": today, "last": today + most}
    return dates | {"visit": call.visit, "subject": call.subject, "audience": call.audience}


def _by_default(site: Site, now: datetime) -> date:
    return site.workdays.next(site.date_of(now))


def _site(api: ApiContext, call: Call) -> Site:
    row = subject(api.study.store, call.subject)
    if row is None:
        raise Refused("enrolment", f"{call.subject} is not enrolled")
    return api.study.protocol.site(row.site)
