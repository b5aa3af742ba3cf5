"""Free text in notices, made harmless: one line, in quotation marks, without links.

A notice is read as the service's own word. A text that somebody entered into a form, or that a system sent,
must be seen as theirs: it begins no line, hides nothing, and leads nowhere. `tasks.text.markup` takes care of
mark-up.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from itp_events.marks import MARK

LONGEST = 300
NOTHING_SEEN = "?"
# Contents that people write, and contents of the service or its configuration that must stay as they are.
_WRITTEN = frozenset({"term", "ae", "about", "drug", "site"})
_OWN = frozenset({"link", "channel", "person", "away"})
# The service's own sentences, with free text within and the service's mark at their end.
_SENTENCES = frozenset({"unmet"})
_CODE = re.compile(r"[A-Za-z0-9][\w+-]{0,63}", re.ASCII)
_SCHEME = re.compile(r":(?=//)")
_DOT = re.compile(r"(?<=[^\W_])\.(?=[^\W\d_]{2})")
_CURLY = re.compile("[“”„‟«»＂]")


class FreeText(str):
    """A text that somebody wrote; in every sentence it stands in quotation marks."""

    __slots__ = ()

    def __str__(self) -> str:
        """The text in quotation marks, which it cannot close."""
        return "“" + self.replace('"', "'") + "”"

    def __format__(self, spec: str) -> str:
        """As it stands in a sentence."""
        return format(str(self), spec)


def one_line(text: str) -> str:
    """The text as `visible` gives it; long ones are cut."""
    line = visible(text)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def visible(text: str) -> str:
    """The text on one line, without characters that cannot be seen."""
    return " ".join("".join(map(_visible, text)).split())


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cc", "Zl", "Zp", "Zs"):
        return " "
    # Characters that turn or hide those beside them, and those that no font shows.
    return "" if category[0] == "C" else character


def unlinked(text: str) -> str:
    """The text with its addresses written so that no program makes links of them: `https[:]//a[.]example`."""
    return _DOT.sub("[.]", _SCHEME.sub("[:]", text))


def legible(facts: Mapping[str, Any], is_own: Callable[[str], bool]) -> dict[str, Any]:
    """The contents of a notice, with every free text in them made fit for its text.

    Words that `is_own` knows as the service's own get no quotation marks.
    """
    return {key: _fit(key, value, is_own) for key, value in facts.items()}


def _fit(key: str, value: Any, is_own: Callable[[str], bool]) -> Any:
    if isinstance(value, Mapping):
        return legible(value, is_own)
    if isinstance(value, list | tuple):
        return [_fit(key, each, is_own) for each in value]
    if not isinstance(value, str) or key in _OWN:
        return value
    said = _CURLY.sub("'", unlinked(one_line(value)))
    if key in _SENTENCES:
        return _unmarked(said[:-1]) + said[-1:]
    is_plain = key not in _WRITTEN or is_own(value) or (key != "term" and _CODE.fullmatch(value))
    # A text of invisible characters is a text: without it the notice would say something else.
    return said if is_plain else FreeText(_unmarked(said) or NOTHING_SEEN)


def _unmarked(text: str) -> str:
    # The mark is the service's own sign for an assumption, and adds a legend.
    return text.replace(MARK, "+")
