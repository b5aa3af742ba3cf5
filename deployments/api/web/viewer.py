"""The person who looks at the pages: account code, role, sites and language.

How they sign in is in sign_in.py.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Request

from deployments.api.http.auth import LOCAL_ROLE, is_local, same_origin
from deployments.api.http.dependencies import ApiContext, Dependencies
from deployments.api.http.problems import Problem
from deployments.api.http.tokens import Role, includes
from deployments.api.web import session
from deployments.api.web.words import LANGUAGES, Language
from itp_events.errors import ItpError

LANGUAGE_COOKIE = "itp_language"


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who is signed in. `sites` are the codes of the sites that they see; None: all of them."""

    code: str
    role: Role
    sites: frozenset[str] | None
    language: Language
    session: session.Session

    def sees(self, site: str) -> bool:
        """Whether they see the subjects of a site."""
        return self.sites is None or site in self.sites

    def may(self, needed: Role) -> bool:
        """Whether their role includes `needed`."""
        return includes(self.role, needed)


class SignIn(ItpError):
    """Nobody is signed in: the page `to` asks for it."""

    def __init__(self, to: str) -> None:
        self.to = f"/sign-in?to={quote(to)}"
        super().__init__("sign in first")


def language_of(request: Request, api: ApiContext) -> Language:
    """The language that was chosen on this device, else that of the study's default site."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    default = api.study.protocol.site("default").language
    return next((each for each in LANGUAGES if each == chosen), default)


def current_session(request: Request, api: ApiContext) -> session.Session | None:
    """The session of a request; None where there is none, or its token was taken away."""
    kept = session.unseal(request.cookies.get(session.COOKIE, ""), api.links.key, api.study.wall())
    if kept is None or role_of(request, api, kept) is None:
        return None
    return kept


def role_of(request: Request, api: ApiContext, kept: session.Session) -> Role | None:
    """The role of a session now; None when its token does not count any more."""
    if not kept.digest:
        return LOCAL_ROLE if is_local(request, api) else None
    return next((each.role for each in api.tokens.entries() if each.digest == kept.digest), None)


def find_viewer(request: Request, api: ApiContext) -> Viewer | None:
    """Who is signed in; None for nobody."""
    kept = current_session(request, api)
    role = role_of(request, api, kept) if kept else None
    if kept is None or role is None:
        return None
    return Viewer(kept.code, role, None, language_of(request, api), kept)


def _viewer(request: Request, api: Dependencies) -> Viewer:
    found = find_viewer(request, api)
    if found is None:
        query = f"?{request.url.query}" if request.url.query else ""
        raise SignIn(request.url.path + query)
    return found


Looking = Annotated[Viewer, Depends(_viewer)]
"""The parameter of a page that only somebody who is signed in may see."""


def check_form(request: Request, api: ApiContext, viewer: Viewer, form: dict[str, str]) -> None:
    """Require that a form was made for this session; its token is taken out of the form.

    Raises:
        Problem: 403 for a form of another origin, or of another session.
    """
    same_origin(request, api)
    given = form.pop("csrf", "")
    if not hmac.compare_digest(given.encode(), form_token(api, viewer).encode()):
        said = "this form is not of your session; open the page again, what you entered was not recorded"
        raise Problem(HTTPStatus.FORBIDDEN, "form", said)


def form_token(api: ApiContext, viewer: Viewer) -> str:
    """The token that each form of the viewer's session carries."""
    return session.form_token(viewer.session.name, api.links.key)
