"""The one family of errors: each says in one line which input, which rule, and what to do."""

from __future__ import annotations

from itp_events.marks import with_legend


class ItpError(Exception):
    """Anything that this service refuses or cannot do."""


class BadInput(ItpError):
    """An input that cannot be read as what it should be; `field` is its dotted path, if known."""

    def __init__(self, problem: str, field: str | None = None) -> None:
        self.field = field
        self.problem = problem
        super().__init__(f"{field}: {problem}" if field else problem)


class BadEvent(BadInput):
    """An event that is malformed: unknown type, unknown or missing field, impossible value."""


class BadProtocol(BadInput):
    """A protocol file that is refused; `line` is where, counted from 1, if known."""

    def __init__(self, problem: str, field: str | None = None, line: int | None = None) -> None:
        self.line = line
        super().__init__(problem, field)


class Refused(ItpError):
    """A well-formed event that the study's order does not permit; `rule` is the rule's short name.

    A message that marks an assumption says what the mark means.
    """

    def __init__(self, rule: str, message: str) -> None:
        self.rule = rule
        self.message = with_legend(message)
        super().__init__(self.message)


class Forbidden(Refused):
    """An event that its sender may not state; another might."""


class NotEligible(Refused):
    """An enrolment that fails inclusion criteria; `unmet` holds one sentence for each."""

    def __init__(self, subject: str, unmet: tuple[str, ...]) -> None:
        self.unmet = unmet
        super().__init__("eligibility", f"{subject} does not meet the inclusion criteria: {'; '.join(unmet)}")
