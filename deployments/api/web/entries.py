"""The entries of the audit trail in words, for the page of a review."""

from __future__ import annotations

from collections.abc import Callable

from deployments.api.web.in_words import InWords
from tasks.audit.entries import Entry, Kind


def said_of(words: InWords, entry: Entry) -> str:
    """The sentence of an entry, in the reader's language; what people typed in stays as it is."""
    if entry.event is not None:
        said = words.sentence(entry.event)
        late = entry.kind == "late"
        days = entry.details.get("days")
        return words.say.counted("review.late", sentence=said, days=days) if late else said
    return _SAID.get(entry.kind, _as_kept)(words, entry)


def _as_kept(_: InWords, entry: Entry) -> str:
    return entry.what


def _sign_in(words: InWords, entry: Entry) -> str:
    details = entry.details
    return words.say(f"review.sign-in.{details['outcome']}", address=details["address"])


def _account(words: InWords, entry: Entry) -> str:
    what = words.say(f"what.account.{entry.what.rpartition(': ')[2]}")
    return words.say("review.account-line", account=entry.details["account"], what=what)


def _refusal(words: InWords, entry: Entry) -> str:
    if "unmet" in entry.details:
        return words.say("review.refusal", unmet="; ".join(map(words.unmet, entry.details["unmet"])))
    why = words.refusal(entry.details["said"])
    if "type" in entry.details:
        return words.say("review.refused", why=why)
    return words.say("review.refused-request", asked=entry.details["about"], why=why)


def _setting(words: InWords, entry: Entry) -> str:
    details = entry.details
    values = {name: details[name] or words.say("review.not-set") for name in ("before", "after")}
    return words.say("review.setting", about=details["about"], place=details["place"], **values)


def _about(_: InWords, entry: Entry) -> str:
    return str(entry.details["about"])


def _custody(words: InWords, entry: Entry) -> str:
    return words.say(f"review.custody.{entry.details['what']}", place=entry.details["place"])


_SAID: dict[Kind, Callable[[InWords, Entry], str]] = {
    "sign-in": _sign_in,
    "account": _account,
    "refusal": _refusal,
    "setting": _setting,
    "export": _about,
    "backup": _about,
    "custody": _custody,
    "repair": lambda words, entry: words.repair(entry.what),
    "unreadable": lambda words, entry: words.refusal(entry.what),
}
