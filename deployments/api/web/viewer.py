"""The person who looks at the pages: their code, account and language.

How they sign in is in sign_in.py.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Request

from deployments.api.http.auth import Caller, by_proof, is_local, same_origin
from deployments.api.http.dependencies import ApiContext, Dependencies
from deployments.api.http.languages import asked_for
from deployments.api.http.problems import Problem
from deployments.api.web import session
from deployments.api.web.words import LANGUAGES, Language
from itp_events.errors import ItpError
from tasks.accounts.account import Account, Right, Role, may
from tasks.accounts.passwords import is_for_once
from tasks.accounts.proof import Proof
from tasks.accounts.sessions import see

LANGUAGE_COOKIE = "itp_language"


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who is signed in. `code` is what they state as `by`; `caller` is their account."""

    code: str
    caller: Caller
    language: Language
    session: session.Session

    @property
    def role(self) -> Role:
        """Their account's role; without any account that of this machine."""
        return self.caller.role

    @property
    def sites(self) -> frozenset[str] | None:
        """The codes of the sites that they see; None: all of them."""
        return None if self.caller.sites is None else frozenset(self.caller.sites)

    def sees(self, site: str) -> bool:
        """Whether they see the subjects of a site."""
        return self.caller.sees(site)

    def may(self, needed: Role) -> bool:
        """Whether their role includes `needed`."""
        return may(self.role, _RIGHTS[needed])


_RIGHTS: dict[Role, Right] = {
    "reader": "read",
    "monitor": "read",
    "recorder": "state",
    "investigator": "decide",
    "admin": "administer",
}


class SignIn(ItpError):
    """Nobody is signed in: the page `to` asks for it."""

    def __init__(self, to: str) -> None:
        self.to = f"/sign-in?to={quote(to)}"
        super().__init__("sign in first")


def language_of(request: Request, api: ApiContext, account: Account | None = None) -> Language:
    """The language chosen on this device, else the account's, the browser's, or that of the default site."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    wanted = (chosen, account.language if account else None, *asked_for(request))
    default = api.study.protocol.site("default").language
    return next((each for name in wanted for each in LANGUAGES if each == name), default)


def find_viewer(request: Request, api: ApiContext) -> Viewer | None:
    """The person who is signed in; None for nobody. The account is read anew for each page."""
    kept = session.unseal(request.cookies.get(session.COOKIE, ""), api.links.key, api.study.wall())
    caller = caller_of(request, api, kept) if kept else None
    if kept is None or caller is None or _named_otherwise(request, api, kept.code):
        return None
    request.state.caller = caller
    return Viewer(kept.code, caller, language_of(request, api, caller.account), kept)


def _named_otherwise(request: Request, api: ApiContext, code: str) -> bool:
    """Whether the hospital's sign-on names somebody else than the session, or is not to be believed."""
    try:
        named = api.sign_on.named(request) if api.sign_on else None
    except Problem:
        return True
    return named is not None and named.lower() != code.lower()


def caller_of(request: Request, api: ApiContext, kept: session.Session) -> Caller | None:
    """The caller of a session now; None when its token or its account counts no more."""
    if kept.kind == "token":
        return by_proof(api, Proof("token", kept.digest))
    if kept.kind == "session":
        see(api.study.store, kept.digest, api.study.wall())
        return by_proof(api, Proof("session", kept.digest))
    return Caller() if is_local(request, api) else None


class ChoosePassword(SignIn):
    """Somebody is signed in by a password for once: they choose their own first."""

    def __init__(self) -> None:
        super().__init__("/")
        self.to = "/password"


def _present(request: Request, api: Dependencies) -> Viewer:
    found = find_viewer(request, api)
    if found is None:
        query = f"?{request.url.query}" if request.url.query else ""
        raise SignIn(request.url.path + query)
    return found


def require(viewer: Viewer, needed: Role) -> Viewer:
    """The viewer, whose role must include `needed`; raises Problem, 403 for another one."""
    if not viewer.may(needed):
        said = f"this needs a token of role {needed}; yours is of role {viewer.role}"
        raise Problem(HTTPStatus.FORBIDDEN, "role", said)
    return viewer


Present = Annotated[Viewer, Depends(_present)]
"""The parameter of the pages of signing out and of choosing a password."""


def _signed_in(api: Dependencies, viewer: Present) -> Viewer:
    if viewer.session.kind == "session":
        with api.study.store.reading() as connection:
            if is_for_once(connection, viewer.code):
                raise ChoosePassword
    return viewer


Anybody = Annotated[Viewer, Depends(_signed_in)]
"""The parameter of a page that everybody who is signed in may see, an administrator too."""


def _reading(viewer: Anybody) -> Viewer:
    return require(viewer, "reader")


Looking = Annotated[Viewer, Depends(_reading)]
"""The parameter of a page that only somebody who may read subjects sees."""


def _administering(viewer: Anybody) -> Viewer:
    return require(viewer, "admin")


Administering = Annotated[Viewer, Depends(_administering)]
"""The parameter of a page for administrators alone."""


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
