"""Errors of one subject's record: it is named with the reason, and the others go on.

A database that does not answer is another matter: `tasks.database.store.NO_ANSWER`.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, MutableMapping, Sequence
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from itp_events.errors import ItpError, RuleName
from itp_events.events import Event
from itp_events.protocol.model import Protocol
from itp_events.rules.subject import Subject, fold
from tasks.database.custody import Moved
from tasks.database.store import NO_ANSWER

_log = logging.getLogger(__name__)
_SILENCE = (*NO_ANSWER, DBAPIError, Moved)


class Unreadable(ItpError):
    """A subject's record that this program cannot read or judge; `why` is the reason."""

    rule: RuleName = "unreadable"

    def __init__(self, code: str, why: str) -> None:
        self.subject = code
        self.why = why
        super().__init__(f"{code} cannot be read: {why}")


def folded(protocol: Protocol, code: str, history: Sequence[Event], handed: Collection[str] = ()) -> Subject:
    """The subject that its recorded log gives.

    Raises:
        Unreadable: the log needs something that is not there, as a protocol version that is not installed.
    """
    with naming(code):
        return fold(protocol, history, frozenset(handed))


@contextmanager
def naming(code: str) -> Iterator[None]:
    """Raise Unreadable, which names the subject, in place of any error with its record.

    A database that does not answer, or that the study has left, is no fault of the subject: its errors pass.
    """
    try:
        yield
    except (Unreadable, *_SILENCE):
        raise
    except ItpError as problem:
        raise Unreadable(code, str(problem)) from problem
    except Exception as problem:
        _log.exception("%s cannot be read.", code)
        raise Unreadable(code, f"{problem!r}; the service's log says more") from problem


@contextmanager
def passing_over(code: str, named: MutableMapping[str, str]) -> Iterator[None]:
    """Go on with the others after an error with one subject's record, and note the reason under its code."""
    try:
        with naming(code):
            yield
    except Unreadable as problem:
        _log.error("%s", problem)
        named[code] = problem.why
