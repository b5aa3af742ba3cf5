"""A person at the pages, as a browser without a script is one: signs in, opens a page, sends its form."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field

import httpx

from deployments.api.http.tokens import Role
from tests.support.api import Door


@dataclass
class Person:
    """Somebody at the pages; `client` keeps their cookies."""

    client: httpx.Client
    code: str
    token: str = ""
    language: str = "en"
    last: dict[str, str] = field(default_factory=dict)

    def sign_in(self) -> httpx.Response:
        """Sign in with the code and the token."""
        answer = self.client.post("/sign-in", data={"code": self.code, "token": self.token, "to": "/today"})
        if self.language != "en":
            self.client.post("/language", data={"language": self.language, "to": "/today"})
        return answer

    def open(self, path: str) -> str:
        """The text of a page, which must be there; its form's hidden fields are remembered."""
        answer = self.client.get(path)
        assert answer.status_code == httpx.codes.OK, (answer.status_code, said(answer))
        found = re.findall(r'<input type="hidden" name="(csrf|id)" value="([^"]*)"', answer.text)
        self.last = dict(found)
        return html.unescape(answer.text)

    def send(self, path: str, open_at: str = "", **values: str) -> httpx.Response:
        """Open a form's page, fill in its fields, and send it."""
        self.open(open_at or path)
        return self.again(path, **values)

    def again(self, path: str, **values: str) -> httpx.Response:
        """Send the form that was opened last, with these values; in a name `__` stands for a dot."""
        named = {name.replace("__", "."): value for name, value in values.items()}
        return self.client.post(path, data=self.last | named)

    def answered(self, answer: httpx.Response) -> str:
        """The text of the page to which a form's answer leads."""
        assert answer.status_code == httpx.codes.SEE_OTHER, (answer.status_code, said(answer))
        return self.open(answer.headers["location"])


def person(door: Door, role: Role, code: str = "crc.li", language: str = "en") -> Person:
    """Somebody with a token of a role, signed in."""
    token = door.token(role)["Authorization"].removeprefix("Bearer ")
    made = Person(visitor(door), code, token, language)
    made.sign_in()
    return made


def visitor(door: Door) -> httpx.Client:
    """A client that keeps cookies, and no connection open."""
    none_kept = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(
        base_url=str(door.client.base_url), trust_env=False, verify=False, timeout=30, limits=none_kept
    )


def said(answer: httpx.Response) -> str:
    """The text of a page without its marks."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())
