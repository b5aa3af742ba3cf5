"""The reading of a provider's answer: whether its body says that the message was taken or refused.

Many providers answer every request with HTTP 200, and put the refusal of a message into the body. The rules
of each provider are data, in `tasks.delivery.providers`; the kinds of rules are here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tasks.text.free_text import visible

Verdict = Literal["taken", "refused", "open"]
_MISSING = object()
# A reason longer than this is cut.
_LONGEST_REASON = 200
# A longer body is no acknowledgement.
_LONGEST_BODY = 65536


@dataclass(frozen=True, slots=True)
class Response:
    """One answer of a provider, as it arrived; `url` has no query."""

    url: str
    status: int
    body: bytes = b""

    def content(self) -> Any:
        """The body read as JSON, else as text."""
        text = self.body[:_LONGEST_BODY]
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text.decode("utf-8", "replace").strip()

    @property
    def is_page(self) -> bool:
        """Whether the body is a page for people, as a proxy or a hotel's network sends it."""
        return self.body.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html"))


@dataclass(frozen=True, slots=True)
class Says:
    """The message is taken when the value at `path` is one of `ok`, and refused when it is another.

    A path is `a.b`, `a[].b` for every element of a list, and `a|b` for the first of two that is there; an
    empty one is the whole body. Numbers, their texts, and true and false in any spelling are the same.
    """

    path: str
    ok: tuple[object, ...]

    def verdict(self, content: Any) -> Verdict:
        """The verdict on an answer; open when nothing stands at the path."""
        found = values(content, self.path)
        if not found:
            return "open"
        return "taken" if all(_same(each, self.ok) for each in found) else "refused"


@dataclass(frozen=True, slots=True)
class Not:
    """The message is refused when a value at `path` is one of `bad`; anything else is in order."""

    path: str
    bad: tuple[object, ...]

    def verdict(self, content: Any) -> Verdict:
        """The verdict on an answer; never open."""
        return "refused" if any(_same(each, self.bad) for each in values(content, self.path)) else "taken"


@dataclass(frozen=True, slots=True)
class Lacks:
    """The message is refused when the body, as text, holds `pattern`; anything else is in order."""

    pattern: str

    def verdict(self, content: Any) -> Verdict:
        """The verdict on an answer; never open."""
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        return "refused" if re.search(self.pattern, text) else "taken"


@dataclass(frozen=True, slots=True)
class Silent:
    """The message is refused when anything but null, zero, false or emptiness stands at `path`."""

    path: str

    def verdict(self, content: Any) -> Verdict:
        """The verdict on an answer; open when the body is no JSON object or list."""
        if not isinstance(content, dict | list):
            return "open"
        return "refused" if any(not _is_nothing(each) for each in values(content, self.path)) else "taken"


@dataclass(frozen=True, slots=True)
class Filled:
    """The message is taken when something stands at `path`, and refused when emptiness does."""

    path: str

    def verdict(self, content: Any) -> Verdict:
        """The verdict on an answer; open when the path is not there."""
        found = values(content, self.path)
        if not found:
            return "open"
        return "refused" if any(_is_nothing(each) for each in found) else "taken"


@dataclass(frozen=True, slots=True)
class Text:
    """The message is taken when the body, as text, begins with `ok`; otherwise it is refused."""

    ok: str

    def verdict(self, content: Any) -> Verdict:
        """The verdict on an answer; open when the body is empty."""
        text = content if isinstance(content, str) else json.dumps(content)
        if not text:
            return "open"
        return "taken" if text.lower().startswith(self.ok.lower()) else "refused"


Check = Says | Not | Lacks | Silent | Filled | Text


@dataclass(frozen=True, slots=True)
class Answer:
    """The rule for the answers of one address: every check must hold.

    `why` is the path of the provider's own words for a refusal; `at` is a pattern for the address, and empty
    for every address.
    """

    checks: tuple[Check, ...]
    why: str = ""
    at: str = ""

    def verdict(self, content: Any) -> Verdict:
        """The verdict of all checks together: refused if any refuses, else open if any is open."""
        verdicts = {check.verdict(content) for check in self.checks}
        return "refused" if "refused" in verdicts else "open" if "open" in verdicts else "taken"

    def reason(self, content: Any) -> str:
        """The values that decided, and the provider's own words."""
        paths = [check.path for check in self.checks if not isinstance(check, Text | Lacks)]
        told = [(f"{_name(path)} ", each) for path in paths for each in values(content, path)[:1]]
        told += [("", each) for each in values(content, self.why)[:1]] if self.why else []
        said = [name + _short(each) for name, each in told if each not in (None, "", [], {})]
        return ", ".join(said) if said else _short(content)


@dataclass(frozen=True, slots=True)
class Reading:
    """The verdict on all answers to one message, with the words for it."""

    verdict: Verdict
    said: str


# The signs of a failure in an answer of a provider that documents none. They leave the outcome open.
_FAILED = (False, "error", "failed", "failure", "fail", "ko")
_SIGNS: tuple[Check, ...] = (
    *(Not(name, _FAILED) for name in ("success", "ok", "result", "status")),
    *(
        Silent(name)
        for name in ("error", "errors", "errcode", "errno", "error_code", "errorCode", "ErrorCode")
    ),
)


def read(rules: Sequence[Answer], responses: Sequence[Response]) -> Reading:
    """Read the answers to one message, which may have been sent in parts.

    Answers of addresses that no rule speaks of are the provider's log-in or the like; where none is spoken
    of, each answer is looked at for signs of a failure.
    """
    answered = [each for each in responses if each.status < 300]
    judged = [(rule, each) for each in answered for rule in rules if re.search(rule.at, each.url)]
    if not judged:
        return _signs(answered)
    readings = [_one(rule, each) for rule, each in judged]
    verdicts = {reading.verdict for reading in readings}
    worst = next(each for name in ("refused", "open", "taken") for each in readings if each.verdict == name)
    if len(verdicts) > 1:
        return Reading("open", f"{worst.said}, for a part of the message")
    return worst


def _one(rule: Answer, response: Response) -> Reading:
    content = response.content()
    verdict = "open" if response.is_page else rule.verdict(content)
    if verdict == "open":
        said = f"the provider answered {response.status} without saying whether it took the message"
    elif verdict == "refused":
        said = f"the provider answered {response.status} and refused the message: {rule.reason(content)}"
    else:
        said = f"HTTP {response.status}, {rule.reason(content)}"
    return Reading(verdict, said)


def _signs(responses: Sequence[Response]) -> Reading:
    for response in responses:
        content = response.content()
        if isinstance(content, dict) and any(check.verdict(content) == "refused" for check in _SIGNS):
            said = f"the provider answered {response.status}, and speaks of a failure: {_short(content)}"
            return Reading("open", said)
    return Reading("taken", f"HTTP {responses[-1].status}" if responses else "")


def values(content: Any, path: str) -> list[Any]:
    """The values at a path of `Says`; none when it is not there."""
    for one in path.split("|"):
        found = list(_walk(content, one.replace("[]", ".[]").strip(".").split(".") if one else []))
        if found:
            return found
    return []


def _walk(content: Any, names: Sequence[str]) -> Iterator[Any]:
    if not names:
        yield content
        return
    name, *rest = names
    if name == "[]":
        for each in content if isinstance(content, list) else ():
            yield from _walk(each, rest)
    elif isinstance(content, Mapping) and (value := content.get(name, _MISSING)) is not _MISSING:
        yield from _walk(value, rest)


def _same(value: Any, wanted: Sequence[object]) -> bool:
    return _plain(value) in {_plain(each) for each in wanted}


def _plain(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip().lower() if isinstance(value, str | int | float) else repr(value)


def _is_nothing(value: Any) -> bool:
    return not value or _plain(value) in {"0", "false", "null", "none"}


def _name(path: str) -> str:
    return path.partition("|")[0].rpartition(".")[2].replace("[]", "") or "answer"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    line = visible(text)
    return line if len(line) <= _LONGEST_REASON else f"{line[: _LONGEST_REASON - 1]}…"
