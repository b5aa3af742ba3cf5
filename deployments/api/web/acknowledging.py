"""Acknowledging from the notice: the link opens a page, and one press on it acknowledges.

The link's signature is what permits it, so nobody has to sign in; who is signed in acknowledges in their own
name. Opening the page changes nothing, because mail scanners open every link.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from deployments.api.http.dependencies import ApiContext, Dependencies
from deployments.api.http.form_body import read_form
from deployments.api.recording import take_in
from deployments.api.web.in_words import InWords
from deployments.api.web.rendering import page_router, show, words_for
from deployments.api.web.viewer import Viewer, check_form, find_viewer, language_of
from flows.study.roles import Speaker
from itp_events.errors import Refused
from itp_events.events import Acknowledged, Event, parse_event
from itp_events.intake.batch import judge
from itp_events.protocol.model import Site
from itp_events.rules.subject import as_data, not_voided
from tasks.database.queries import history, subject
from tasks.delivery.links import Call

SOURCE = "acknowledge-link"
# Whoever holds the message, with its link.
HOLDER = Speaker(door="page")

router = page_router()


@dataclass(frozen=True, slots=True)
class _Look:
    """The page as somebody looks at it: the call of its link, the site, the words, and who is signed in."""

    request: Request
    api: ApiContext
    call: Call
    site_code: str
    site: Site
    words: InWords
    viewer: Viewer | None
    now: datetime

    @property
    def signer(self) -> Viewer | None:
        """The viewer, where they may state something about the subject; None: whoever holds the message."""
        mine = self.viewer and self.viewer.may("recorder") and self.viewer.sees(self.site_code)
        return self.viewer if mine else None

    def show(
        self, template: str, title: str, status: HTTPStatus = HTTPStatus.OK, **facts: Any
    ) -> HTMLResponse:
        """One page."""
        return show(
            self.request,
            self.api,
            template,
            title,
            status=status,
            viewer=self.viewer,
            site=self.site,
            language=self.words.say.language,
            subject=self.call.subject,
            **facts,
        )

    def said(self, key: str, sentence: str) -> HTMLResponse:
        """The page that says what has been done."""
        return self.show("said", self.words.say(key), said=sentence, refused=False)


@router.get("/acknowledge/{signed}")
def ask(signed: str, request: Request, api: Dependencies) -> HTMLResponse:
    """Show which visit a press would acknowledge, and until when. Acknowledges nothing."""
    look = _look(request, api, signed)
    facts = history(api.study.store, look.call.subject)
    if taken := _taken(facts, look.call, look.site, look.now):
        return _already(look, taken)
    pressed = parse_event(_event(look, facts, {}))
    (verdict,) = judge(api.study.protocol, facts, [pressed], look.now).verdicts
    if verdict.error is not None:
        return look.said("take.nothing", look.words.refusal(str(verdict.error)))
    return look.show("acknowledge", look.words.say("take.title"), signer=look.signer, **_asked(look))


@router.post("/acknowledge/{signed}")
async def acknowledge(signed: str, request: Request, api: Dependencies) -> HTMLResponse:
    """Record the acknowledgement, unless the visit has one already; pressing twice records it once."""
    return await api.in_door(_acknowledge, request, api, signed, await read_form(request))


def _look(request: Request, api: ApiContext, signed: str) -> _Look:
    now = api.study.clock.now()
    call = api.links.read(signed, now)
    row = subject(api.study.store, call.subject)
    if row is None:
        raise Refused("enrolment", f"{call.subject} is not enrolled; record itp.subject.enrolled first")
    site = api.study.protocol.site(row.site)
    signer = find_viewer(request, api)
    words = words_for(signer.language if signer else language_of(request, api), site)
    return _Look(request, api, call, row.site, site, words, signer, now)


def _acknowledge(request: Request, api: ApiContext, signed: str, form: dict[str, str]) -> HTMLResponse:
    look = _look(request, api, signed)
    if look.signer:
        check_form(request, api, look.signer, form)
    facts = history(api.study.store, look.call.subject)
    if taken := _taken(facts, look.call, look.site, look.now):
        return _already(look, taken)
    stated = _event(look, facts, form)
    result = take_in(api, [stated], look.signer.caller.sender(api, "page") if look.signer else HOLDER)[0]
    if result["status"] == HTTPStatus.CREATED:
        return look.said("take.done", _told(look, "take.said", parse_event(stated)))
    # Of two people who press at the same moment, the second comes here.
    if taken := _taken(history(api.study.store, look.call.subject), look.call, look.site, look.now):
        return _already(look, taken)
    refused = look.words.say("take.refused")
    said = look.words.refusal(result["detail"]) if result.get("detail") else refused
    return look.show("said", refused, HTTPStatus(result["status"]), said=said, refused=True)


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


def _already(look: _Look, taken: Event) -> HTMLResponse:
    return look.said("take.taken", _told(look, "take.again", taken))


def _told(look: _Look, key: str, taken: Event) -> str:
    data, until = as_data(taken, Acknowledged), look.words.day(_until(taken, look.site))
    return look.words.say(key, visit=data.visit, subject=taken.subject, until=until, by=data.by)


def _event(look: _Look, facts: Sequence[Event], form: dict[str, str]) -> dict[str, Any]:
    until = form.get("until") or _by_default(look.site, look.now).isoformat()
    by = look.signer.code if look.signer else form.get("by") or look.call.audience
    return {
        "specversion": "1.0",
        "id": _next_id(look.api, look.call, facts),
        "source": SOURCE,
        "type": Acknowledged.type,
        "subject": look.call.subject,
        "time": look.now.isoformat(),
        "data": {"by": by, "visit": look.call.visit, "until": until},
    }


def _next_id(api: ApiContext, call: Call, facts: Sequence[Event]) -> str:
    """The id of the next acknowledgement: of two presses at once one counts, and the id cannot be guessed."""
    given = sum(isinstance(each.data, Acknowledged) and each.data.visit == call.visit for each in facts)
    name = f"{call.subject}/{call.visit}/{given + 1}"
    secret = hmac.digest(api.links.key, f"acknowledged\n{name}".encode(), hashlib.sha256)
    return f"{name}/{secret.hex()[:32]}"


def _asked(look: _Look) -> dict[str, Any]:
    today = look.site.date_of(look.now)
    most = timedelta(days=look.api.study.protocol.ladder.acknowledged_at_most_days)
    dates = {"until": _by_default(look.site, look.now), "first": today, "last": today + most}
    return dates | {"visit": look.call.visit, "audience": look.call.audience}


def _by_default(site: Site, now: datetime) -> date:
    return site.workdays.next(site.date_of(now))
