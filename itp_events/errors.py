"""The errors of this service: each names in one line the wrong input, the broken rule and the remedy.

This module says nothing of how an error is shown: the command line, the pages and the API do that.
"""

from __future__ import annotations

from typing import Literal

from itp_events.marks import with_legend

RuleName = Literal[
    # the study's rules: events of a subject that are not permitted
    "acknowledgement",
    "after-exit",
    "anchor-first",
    "answer",
    "aware-ahead",
    "before-consent",
    "before-enrolment",
    "booking",
    "cancelled",
    "date-ahead",
    "decision",
    "deviation",
    "eligibility",
    "enrolment",
    "fatal-serious",
    "first-infusion",
    "future",
    "id-reused",
    "infusion-order",
    "pregnancy",
    "protocol-version",
    "recorded-once",
    "second-enrolment",
    "submission",
    "together",
    "too-early",
    "void",
    # senders and readers without the right to state an event or to ask
    "account",
    "by",
    "form",
    "link",
    "link-expired",
    "loopback",
    "origin",
    "role",
    "signature",
    "site",
    "source",
    "token",
    # requests that cannot be answered
    "busy",
    "failed",
    "framing",
    "malformed",
    "media-type",
    "not-http",
    "redcap",
    "subject",
    "tokens",
    "too-large",
    "too-many",
    "too-slow",
    "unavailable",
    "unreadable",
]
"""The short names by which refusals and problems are known; a public contract that never changes.

The API answers a name as `urn:itp:problem:NAME`. An HTTP status without a rule of its own is named by its
phrase, as `not-found`.
"""


class ItpError(Exception):
    """Anything that this service refuses or cannot do."""


class BadInput(ItpError):
    """An input that has not the form it should have; `field` is its dotted path, None when unknown."""

    def __init__(self, problem: str, field: str | None = None) -> None:
        self.field = field
        self.problem = problem
        super().__init__(f"{field}: {problem}" if field else problem)


class BadEvent(BadInput):
    """An event that is malformed: unknown type, unknown or missing field, impossible value."""


class BadProtocol(BadInput):
    """A protocol file that is refused; `line` is counted from 1, None when unknown."""

    def __init__(self, problem: str, field: str | None = None, line: int | None = None) -> None:
        self.line = line
        super().__init__(problem, field)


class Refused(ItpError):
    """A well-formed event or request that a rule of the study does not permit.

    `rule` is the rule's short name. A message that marks an assumption ends with what the mark means.
    """

    def __init__(self, rule: RuleName, message: str) -> None:
        self.rule: RuleName = rule
        self.message = with_legend(message)
        super().__init__(self.message)


class Forbidden(Refused):
    """An event that this sender may not state; another sender may."""


class NotEligible(Refused):
    """An enrolment that fails inclusion criteria; `unmet` holds one sentence for each of them."""

    def __init__(self, subject: str, unmet: tuple[str, ...]) -> None:
        self.unmet = unmet
        super().__init__("eligibility", f"{subject} does not meet the inclusion criteria: {'; '.join(unmet)}")
