"""What people wrote, made fit to stand in a notice: one line, in quotation marks, without links.

A notice is read as the service's own word. What somebody entered into a form, or a system sent, must be seen
for what it is: it begins no line, hides nothing, and leads nowhere. `tasks.text.markup` sees to mark-up.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from itp_events.marks import MARK

LONGEST = 300
NOTHING_SEEN = "?"
# Facts that people write, and those that the service or its configuration gives as they must stand.
_WRITTEN = frozenset({"term", "ae", "about", "drug", "site"})
_OWN = frozenset({"link", "channel"})
# The service's own sentences, with what people wrote within and the service's mark at their end.
_SENTENCES = frozenset({"unmet"})
_CODE = re.compile(r"[A-Za-z0-9][\w+-]{0,63}", re.ASCII)
_SCHEME = re.compile(r":(?=//)")
_DOT = re.compile(r"(?<=[^\W_])\.(?=[^\W\d_]{2})")
_CURLY = re.compile("[“”„‟«»＂]")


class FreeText(str):
    """A text that somebody wrote; wherever it is put into words it stands in quotation marks."""

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
    # Marks that turn or hide what stands beside them, and what no font shows.
    return "" if category[0] == "C" else character


def unlinked(text: str) -> str:
    """The text with its addresses written so that no program makes links of them: `https[:]//a[.]example`."""
    return _DOT.sub("[.]", _SCHEME.sub("[:]", text))


def legible(facts: Mapping[str, Any], is_own: Callable[[str], bool]) -> dict[str, Any]:
    """A notice's facts with everything that people wrote made fit for its text.

    What `is_own` knows as the service's own words needs no quotation marks.
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
    # What cannot be seen is there all the same: the text for a notice without it would say something else.
    return said if is_plain else FreeText(_unmarked(said) or NOTHING_SEEN)


def _unmarked(text: str) -> str:
    # The mark is the service's own word for what is assumed, and brings its legend along.
    return text.replace(MARK, "+")
