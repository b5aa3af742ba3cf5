"""The monitor's review: the audit trail with filters, as a list and as a table, and the review's signature.

What is listed is read by `tasks.audit`; `itp audit` and GET /audit show the same.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import get_args
from urllib.parse import urlencode

from anyio import to_thread
from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from deployments.api.http.dependencies import ApiContext, Dependencies
from deployments.api.http.form_body import read_form
from deployments.api.http.problems import Problem
from deployments.api.web.entries import said_of
from deployments.api.web.in_words import InWords
from deployments.api.web.proving import same_person
from deployments.api.web.rendering import HEADERS, own_words, page_router, show, to
from deployments.api.web.viewer import Looking, Viewer, check_form
from deployments.auditing import COLUMNS, row, seen_by, until_now
from deployments.auditing import review as content_of
from deployments.tables import ENCODING
from deployments.tables import table as csv_table
from flows.study.signing import sign_a_review
from itp_events.errors import BadInput, Forbidden, Refused
from itp_events.outputs.plan_json import instant
from tasks.accounts.account import may
from tasks.audit.entries import Entry, Kind, Wanted
from tasks.audit.reading import audit
from tasks.database.event_log import Origin
from tasks.signatures.meaning import review_meaning
from tasks.signatures.signing import Signature, reviews_in

KINDS = get_args(Kind)
# A longer list is read in a spreadsheet.
_SHOWN = 100
_FIRST_LOOK = timedelta(days=30)
_LATE_DAYS, _MOST_LATE_DAYS = 3, 3650
_TEXTS = ("since", "until", "subject", "site", "account", "late_days")

router = page_router()


@dataclass(frozen=True, slots=True)
class _Asked:
    """The filters as they were entered: by name, and the ticked kinds."""

    given: dict[str, str]
    kinds: tuple[Kind, ...]

    @property
    def query(self) -> str:
        """The filters as the query of an address."""
        return urlencode([*self.given.items(), *(("kind", each) for each in self.kinds)])


@router.get("/review")
def ask(request: Request, api: Dependencies, viewer: Looking) -> HTMLResponse:
    """List what a review looks at, the newest first, and the reviews that were signed."""
    pairs = request.query_params.multi_items()
    said = request.query_params.get("said", "")
    return _page(request, api, viewer, _asked(api, viewer, pairs), said=said)


@router.get("/review.csv")
def table(request: Request, api: Dependencies, viewer: Looking) -> Response:
    """All that is asked for as a table."""
    asked = _asked(api, viewer, request.query_params.multi_items())
    _, entries = _entries(api, viewer, asked, api.study.clock.now())
    text = csv_table(COLUMNS, map(row, entries))
    named = {"Content-Disposition": 'attachment; filename="audit.csv"'}
    return Response(text.encode(ENCODING), media_type="text/csv; charset=utf-8", headers=HEADERS | named)


@router.post("/review")
async def sign(request: Request, api: Dependencies, viewer: Looking) -> Response:
    """Sign a review of what was listed, by a monitor who gives the password again."""
    given = await read_form(request)
    check_form(request, api, viewer, given)
    # One at a time, as signing in.
    return await to_thread.run_sync(_sign, request, api, viewer, given, limiter=api.sign_ins)


def _sign(request: Request, api: ApiContext, viewer: Viewer, given: dict[str, str]) -> Response:
    kinds = [("kind", each) for each in KINDS if f"kind.{each}" in given]
    asked = _asked(api, viewer, [*((name, given.get(name, "")) for name in _TEXTS), *kinds])
    words = own_words(api, viewer)
    account = viewer.caller.account
    if account is None or not account.may("review"):
        raise Problem(HTTPStatus.FORBIDDEN, "role", words.say("review.only"))
    until = _read_instant(given.get("at", ""), api.study.clock.now())
    try:
        same_person(request, api, viewer, given.get("token", ""), "signed")
    except Problem as error:
        return _page(request, api, viewer, asked, refused=words.refusal(str(error)), at=until)
    wanted, entries = _entries(api, viewer, asked, until)
    identity = given.get("id") or uuid.uuid4().hex
    content, now = content_of(entries, wanted), api.study.clock.now()
    try:
        sign_a_review(api.study.store, account, content, now, identity)
    except Forbidden:
        raise
    except Refused:
        return to(f"/review?said=again&{asked.query}")
    return to(f"/review?said=signed&{asked.query}")


def _read_instant(text: str, now: datetime) -> datetime:
    """The instant at which the list was read; now, unless it is one that has passed."""
    try:
        said = datetime.fromisoformat(text)
    except ValueError:
        return now
    return said if said.tzinfo is not None and said <= now else now


def _asked(api: ApiContext, viewer: Viewer, pairs: Sequence[tuple[str, str]]) -> _Asked:
    """The filters; at the first look those of what came since this person's last review."""
    named = dict(pairs)
    given = {name: named.get(name, "").strip()[:64] for name in _TEXTS}
    if "since" not in named:
        given["since"] = str(_last_review(api, viewer))
    chosen = {value for name, value in pairs if name == "kind"}
    return _Asked(given, tuple(each for each in KINDS if each in chosen))


def _last_review(api: ApiContext, viewer: Viewer) -> date:
    with api.study.store.reading() as connection:
        mine = [each.at for each in reviews_in(connection) if each.account == viewer.code]
    site = api.study.protocol.site("default")
    return site.date_of(mine[-1] if mine else api.study.clock.now() - _FIRST_LOOK)


def _entries(api: ApiContext, viewer: Viewer, asked: _Asked, at: datetime) -> tuple[Wanted, list[Entry]]:
    """The filters, and the entries recorded by `at`, of the sites that the viewer sees; oldest first."""
    site, given = api.study.protocol.site("default"), asked.given
    since, until = _day(api, viewer, given["since"]), _day(api, viewer, given["until"])
    end = site.midnight(until + timedelta(days=1)) if until else None
    late = int(given["late_days"]) if given["late_days"].isdecimal() else _LATE_DAYS
    wanted = Wanted(
        site.midnight(since) if since else None,
        end,
        given["subject"] or None,
        given["site"] or None,
        given["account"] or None,
        asked.kinds,
        min(late, _MOST_LATE_DAYS),
    )
    wanted = until_now(wanted, at)
    found = audit(api.study.store, api.study.protocol, wanted)
    account = viewer.caller.account
    return wanted, seen_by(account, found) if account else found


def _day(api: ApiContext, viewer: Viewer, text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise BadInput(own_words(api, viewer).say("review.date")) from error


def _page(
    request: Request,
    api: ApiContext,
    viewer: Viewer,
    asked: _Asked,
    *,
    said: str = "",
    refused: str = "",
    at: datetime | None = None,
) -> HTMLResponse:
    words, now = own_words(api, viewer), api.study.clock.now()
    until = at or now
    try:
        _, found = _entries(api, viewer, asked, until)
    except BadInput as error:
        found, refused = [], words.refusal(error.problem)
    with api.study.store.reading() as connection:
        reviews = reviews_in(connection)
    return show(
        request,
        api,
        "review",
        words.say("review.title"),
        status=HTTPStatus.UNPROCESSABLE_ENTITY if refused else HTTPStatus.OK,
        viewer=viewer,
        said=words.say(f"review.{said}") if said in ("signed", "again") else "",
        refused=refused,
        asked=asked,
        kinds=KINDS,
        may_sign=may(viewer.role, "review") and viewer.caller.account is not None,
        count=len(found),
        rows=list(_rows(words, found[: -_SHOWN - 1 : -1])),
        at=until.isoformat(),
        until=words.instant(until),
        identity=uuid.uuid4().hex,
        meaning=review_meaning(instant(until), viewer.language),
        reviews=[_review(words, each) for each in reversed(reviews)],
    )


def _rows(words: InWords, entries: Sequence[Entry]) -> Iterator[tuple[str, str, str, str, str]]:
    for each in entries:
        kind = words.say(f"review.kind.{each.kind}")
        yield words.short_instant(each.at), kind, each.subject or "", _by(words, each), said_of(words, each)


def _by(words: InWords, entry: Entry) -> str:
    """The person as stated, else the account, with the account and the door beside."""
    by = words.author(entry.by or entry.actor or "", Origin(entry.actor, entry.door))
    return words.say("review.through", by=by, door=words.door(entry.door)) if entry.door else by


def _review(words: InWords, review: Signature) -> tuple[str, str]:
    """A signed review in words, and why it does not hold; empty: it does."""
    count = sum((review.statement or {}).get("entries", {}).values())
    names = {"name": review.name, "account": review.account, "at": words.short_instant(review.at)}
    said = words.say("review.line", **names, meaning=review.meaning, count=count)
    why = words.say("review.broken", why=words.refusal(review.broken)) if review.broken else ""
    return said, why
