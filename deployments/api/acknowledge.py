"""Acknowledging from the notice: the link opens a page, and one press on it acknowledges.

The link's signature is what permits it, so no token is asked. Opening the page changes nothing, because mail
scanners open every link.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from deployments.api.events import take_in
from deployments.api.pages import page, read_form, refusal
from deployments.api.parts import Given, Parts
from itp_events.errors import ItpError, Refused
from itp_events.explain import day
from itp_events.protocol import Site
from tasks.links import Call
from tasks.queries import subject

SOURCE = "acknowledge-link"

router = APIRouter(include_in_schema=False)

_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "title": "Take on an overdue visit",
        "asks": "The window of {visit} of subject {subject} has closed with nothing recorded.",
        "means": "By pressing the button you say that you look after it. The messages pause until the date "
        "below and then go on, unless the visit is recorded by then.",
        "until": "Until",
        "by": "Who looks after it",
        "press": "I look after it",
        "done": "Acknowledged",
        "said": "{visit} of subject {subject} is acknowledged until {until} by {by}. Thank you.",
        "again": "This was acknowledged already; nothing has changed.",
        "refused": "Not acknowledged",
    },
    "zh-CN": {
        "title": "跟进逾期访视",
        "asks": "受试者 {subject} 的访视 {visit} 时间窗已关闭，尚无记录。",
        "means": "按下按钮即表示由您负责跟进。在下列日期之前暂停发送通知；届时如仍无记录，将继续发送。",
        "until": "跟进至",
        "by": "跟进人",
        "press": "由我跟进",
        "done": "已确认",
        "said": "受试者 {subject} 的访视 {visit} 已由 {by} 确认跟进至 {until}。您可以关闭此页面。",
        "again": "此前已确认，没有变化。",
        "refused": "未能确认",
    },
}


@router.api_route("/acknowledge/{signed}", methods=["GET", "HEAD"], response_class=HTMLResponse)
def ask(signed: str, parts: Given) -> HTMLResponse:
    """Say what would be acknowledged, and until when; acknowledges nothing."""
    now = parts.study.clock.now()
    try:
        call = parts.links.read(signed, now)
        site = _site(parts, call)
    except ItpError as error:
        return refusal(error, _WORDS["en"]["refused"])
    words = _WORDS[site.language]
    return page(
        "acknowledge", words["title"], language=site.language, w=words, **_asked(parts, call, site, now)
    )


@router.post("/acknowledge/{signed}", response_class=HTMLResponse)
async def acknowledge(signed: str, request: Request, parts: Given) -> HTMLResponse:
    """Record the acknowledgement; pressing twice records it once."""
    form = await read_form(request)
    try:
        return await run_in_threadpool(_acknowledge, parts, signed, form)
    except ItpError as error:
        return refusal(error, _WORDS["en"]["refused"])


def _acknowledge(parts: Parts, signed: str, form: dict[str, str]) -> HTMLResponse:
    now = parts.study.clock.now()
    call = parts.links.read(signed, now)
    site = _site(parts, call)
    words = _WORDS[site.language]
    event = _event(call, site, now, form)
    result = take_in(parts, [event], "recorder")[0]
    if result["status"] >= HTTPStatus.BAD_REQUEST:
        status = HTTPStatus(result["status"])
        return page("said", words["refused"], status, site.language, said=result["detail"], refused=True)
    told = words["said"].format(**event["data"] | {"subject": call.subject, "until": _shown(event, site)})
    said = told if result["status"] == HTTPStatus.CREATED else words["again"]
    return page("said", words["done"], language=site.language, said=said, refused=False)


def _event(call: Call, site: Site, now: datetime, form: dict[str, str]) -> dict[str, Any]:
    until = form.get("until") or _by_default(site, now).isoformat()
    return {
        "specversion": "1.0",
        "id": f"{call.notice}/{until}",
        "source": SOURCE,
        "type": "itp.escalation.acknowledged",
        "subject": call.subject,
        "time": now.isoformat(),
        "data": {"by": form.get("by") or call.audience, "visit": call.visit, "until": until},
    }


def _shown(event: dict[str, Any], site: Site) -> str:
    until: str = event["data"]["until"]
    return day(date.fromisoformat(until)) if site.language == "en" else until


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
