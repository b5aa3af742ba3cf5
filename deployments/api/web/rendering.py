"""Renders the pages: one look, strict headers, and an error that is a page too."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.routing import APIRoute

from deployments.api.http.dependencies import ApiContext
from deployments.api.http.refused import note_refusal
from deployments.api.web import session
from deployments.api.web.in_words import InWords
from deployments.api.web.viewer import ChoosePassword, SignIn, Viewer, find_viewer, form_token, language_of
from deployments.api.web.words import Language, Say
from deployments.html_page import templates
from deployments.http.origin import split_address
from itp_events.errors import BadInput, ItpError, Refused
from itp_events.protocol.model import Site
from tasks.database.store import NO_ANSWER, first_line

log = logging.getLogger(__name__)

_TEMPLATES = templates(Path(__file__).parent / "templates")
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "worker-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    # A form must tell its origin: under `no-referrer` a browser sends `null` instead.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


class PageRoute(APIRoute):
    """A route whose refusals are pages, in the language of the person who looks."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with what it raises turned into pages."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            api: ApiContext = request.app.state.api
            try:
                return await handle(request)
            except SignIn as error:
                return _to_sign_in(request, error)
            except RequestValidationError:
                return error_page(request, api, HTTPStatus.NOT_FOUND)
            except ItpError as error:
                await note_refusal(request, error, "page")
                return error_page(request, api, status_of(error), error)
            except NO_ANSWER:
                return error_page(request, api, HTTPStatus.SERVICE_UNAVAILABLE)

        return handled


def page_router() -> APIRouter:
    """A router of pages, which the OpenAPI document leaves out."""
    return APIRouter(include_in_schema=False, route_class=PageRoute)


def status_of(error: ItpError) -> HTTPStatus:
    """The status with which a refusal is answered."""
    own = getattr(error, "status", None)
    if isinstance(own, HTTPStatus):
        return own
    if isinstance(error, Refused):
        return {
            "enrolment": HTTPStatus.NOT_FOUND,
            "link": HTTPStatus.FORBIDDEN,
            "link-expired": HTTPStatus.GONE,
            "role": HTTPStatus.FORBIDDEN,
        }.get(error.rule, HTTPStatus.CONFLICT)
    return HTTPStatus.UNPROCESSABLE_ENTITY if isinstance(error, BadInput) else HTTPStatus.NOT_FOUND


def wants_json(request: Request) -> bool:
    """Whether the page's own script asks, which sends what was entered while there was no network."""
    return request.headers.get("accept", "").startswith("application/json")


def words_for(language: Language, site: Site) -> InWords:
    """The words of a language, with instants at a site."""
    return InWords(Say(language), site.zone)


def own_words(api: ApiContext, viewer: Viewer) -> InWords:
    """The words of a person, with instants at the study's default site: for pages about no subject."""
    return words_for(viewer.language, _default(api))


def show(
    request: Request,
    api: ApiContext,
    template: str,
    title: str,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    viewer: Viewer | None = None,
    site: Site | None = None,
    language: Language | None = None,
    **facts: Any,
) -> HTMLResponse:
    """One page, from its template; a page for somebody who is signed in renews their session."""
    chosen = language or (viewer.language if viewer else language_of(request, api))
    words = words_for(chosen, site or api.study.protocol.site("default"))
    text = _TEMPLATES.get_template(f"{template}.html").render(
        title=title,
        say=words.say,
        words=words,
        viewer=viewer,
        csrf=form_token(api, viewer) if viewer else "",
        here=_here(request),
        **facts,
    )
    answer = HTMLResponse(text, status, headers=HEADERS)
    if viewer:
        keep_session(answer, api, session.renewed(viewer.session, api.study.wall()))
    return answer


def keep_session(answer: Response, api: ApiContext, kept: session.Session) -> None:
    """Set the session's cookie: no script reads it, and no other site's form sends it."""
    set_cookie(answer, api, session.COOKIE, session.seal(kept, api.links.key))


def set_cookie(answer: Response, api: ApiContext, name: str, value: str, age: int | None = None) -> None:
    """Set a cookie of these pages; where they are reached by HTTPS it goes by HTTPS alone."""
    secure = split_address(api.links.base).scheme == "https"
    answer.set_cookie(name, value, max_age=age, httponly=True, secure=secure, samesite="lax", path="/")


def _here(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def to(path: str) -> RedirectResponse:
    """Lead on to another page, which is then asked for by GET."""
    return RedirectResponse(path, HTTPStatus.SEE_OTHER, headers=HEADERS)


def _to_sign_in(request: Request, error: SignIn) -> Response:
    if wants_json(request):
        return JSONResponse({"outcome": "sign-in"}, HTTPStatus.UNAUTHORIZED, headers=HEADERS)
    return to(error.to if request.method == "GET" or isinstance(error, ChoosePassword) else "/sign-in")


def error_page(
    request: Request, api: ApiContext, status: HTTPStatus, error: ItpError | None = None
) -> Response:
    """The page of an error; `error` is None where there is no sentence of its own."""
    viewer = _viewer_if_known(request, api)
    words = words_for(viewer.language if viewer else language_of(request, api), _default(api))
    said = words.told(_problem(error)) if error else words.say(_GENERAL.get(status, "error.500"))
    if wants_json(request):
        return JSONResponse({"outcome": "refused", "said": said}, status, headers=HEADERS)
    return show(request, api, "error", words.say("error.title"), status=status, viewer=viewer, said=said)


def _viewer_if_known(request: Request, api: ApiContext) -> Viewer | None:
    """The person who is signed in; None also where nothing can tell now: anybody may see an error."""
    try:
        return find_viewer(request, api)
    except (ItpError, *NO_ANSWER) as problem:
        log.warning("the page of an error names nobody: %s", first_line(problem))
        return None


def _problem(error: ItpError) -> str:
    """The sentence of an error, without the name that a command has for what is wrong."""
    return error.problem if isinstance(error, BadInput) else str(error)


_GENERAL = {
    HTTPStatus.NOT_FOUND: "error.404",
    HTTPStatus.METHOD_NOT_ALLOWED: "error.404",
    HTTPStatus.SERVICE_UNAVAILABLE: "error.busy",
}


def _default(api: ApiContext) -> Site:
    return api.study.protocol.site("default")


@cache
def asset(name: str) -> str:
    """The text of a file that pages load."""
    return (Path(__file__).parent / "assets" / name).read_text(encoding="utf-8")
