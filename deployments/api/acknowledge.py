"""Acknowledging from the notice: the link opens a page, and one press on it acknowledges.

The link's signature is what permits it, so no token is asked. Opening the page changes nothing, because mail
scanners open every link.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from deployments.api.events import take_in
from deployments.api.pages import page, read_form, refusal
from deployments.api.parts import Given, Parts
from deployments.api.words import ACKNOWLEDGE, Language, Words
from itp_events.errors import ItpError, Refused
from itp_events.events import Acknowledged, Event, parse_event
from itp_events.explain import day
from itp_events.intake import judge
from itp_events.protocol import Site
from itp_events.subject import as_data
from tasks.links import Call
from tasks.queries import history, subject

SOURCE = "acknowledge-link"

router = APIRouter(include_in_schema=False)


@router.get("/acknowledge/{signed}", response_class=HTMLResponse)
def ask(signed: str, parts: Given) -> HTMLResponse:
    """Say what would be acknowledged, and until when; acknowledges nothing."""
    try:
        return _ask(parts, signed, parts.study.clock.now())
    except ItpError as error:
        return _refused(parts, error)


@router.post("/acknowledge/{signed}", response_class=HTMLResponse)
async def acknowledge(signed: str, request: Request, parts: Given) -> HTMLResponse:
    """Record the acknowledgement; pressing twice records it once."""
    try:
        return await run_in_threadpool(_acknowledge, parts, signed, await read_form(request))
    except ItpError as error:
        return _refused(parts, error)


def _ask(parts: Parts, signed: str, now: datetime) -> HTMLResponse:
    call = parts.links.read(signed, now)
    site = _site(parts, call)
    words, facts = ACKNOWLEDGE[site.language], history(parts.study.store, call.subject)
    pressed = parse_event(_event(call, site, now, {}))
    (verdict,) = judge(parts.study.protocol, facts, [pressed], now).verdicts
    if verdict.error is not None:
        return page("said", words["nothing"], language=site.language, said=str(verdict.error), refused=False)
    if verdict.status == "known":
        said = _told(words, "again", site, _recorded(facts, pressed))
        return page("said", words["done"], language=site.language, said=said, refused=False)
    asked = _asked(parts, call, site, now)
    return page("acknowledge", words["title"], language=site.language, w=words, **asked)


def _acknowledge(parts: Parts, signed: str, form: dict[str, str]) -> HTMLResponse:
    now = parts.study.clock.now()
    call = parts.links.read(signed, now)
    site = _site(parts, call)
    words, stated = ACKNOWLEDGE[site.language], _event(call, site, now, form)
    result = take_in(parts, [stated], "recorder")[0]
    if result["status"] >= HTTPStatus.BAD_REQUEST:
        status = HTTPStatus(result["status"])
        return page("said", words["refused"], status, site.language, said=result["detail"], refused=True)
    word = "said" if result["status"] == HTTPStatus.CREATED else "again"
    recorded = _recorded(history(parts.study.store, call.subject), parse_event(stated))
    said = _told(words, word, site, recorded)
    return page("said", words["done"], language=site.language, said=said, refused=False)


def _recorded(facts: Sequence[Event], stated: Event) -> Event:
    """What stands in the log under this source and id: another may have pressed before."""
    return next(each for each in facts if each.key == stated.key)


def _told(words: Words, word: str, site: Site, event: Event) -> str:
    data = as_data(event, Acknowledged)
    until = data.until or _by_default(site, event.time)
    shown = day(until) if site.language == "en" else until.isoformat()
    return words[word].format(visit=data.visit, subject=event.subject, until=shown, by=data.by)


def _refused(parts: Parts, error: ItpError) -> HTMLResponse:
    """Before a link is believed, nobody knows whose site it is about: the study's language counts."""
    language: Language = parts.study.protocol.site("default").language
    words = ACKNOWLEDGE[language]
    said = words.get(error.rule) if isinstance(error, Refused) else None
    return refusal(error, words["refused"], language, said)


def _event(call: Call, site: Site, now: datetime, form: dict[str, str]) -> dict[str, Any]:
    until = form.get("until") or _by_default(site, now).isoformat()
    return {
        "specversion": "1.0",
        "id": f"{call.notice}/{until}",
        "source": SOURCE,
        "type": Acknowledged.type,
        "subject": call.subject,
        "time": now.isoformat(),
        "data": {"by": form.get("by") or call.audience, "visit": call.visit, "until": until},
    }


def _asked(parts: Parts, call: Call, site: Site, now: datetime) -> dict[str, Any]:
    today = site.date_of(now)
    most = timedelta(days=parts.study.protocol.ladder.acknowledged_at_most_days)
    dates = {"until": _by_default(site, now), "first": today, "last": today + most}
    return dates | {"visit": call.visit, "subject": call.subject, "audience": call.audience}


def _by_default(site: Site, now: datetime) -> date:
    return site.workdays.next(site.date_of(now))


def _site(parts: Parts, call: Call) -> Site:
    row = subject(parts.study.store, call.subject)
    if row is None:
        raise Refused("enrolment", f"{call.subject} is not enrolled")
    return parts.study.protocol.site(row.site)
