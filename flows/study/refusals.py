"""Counts the events that this process refused, for its metrics.

The study's database keeps refused enrolments only, in the screening log.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable

from itp_events.errors import ItpError
from itp_events.events import FACT_TYPES
from tasks.advance import Answer


class Refusals:
    """The numbers of refused events by type and rule; usable by several threads."""

    def __init__(self) -> None:
        self._counted: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def note(self, answers: Iterable[Answer]) -> None:
        """Count the refusals among these answers."""
        for answer in answers:
            if answer.error is not None:
                self.one(answer.event.type, getattr(answer.error, "rule", "malformed"))

    def unread(self, kind: object, error: ItpError) -> None:
        """Count an event that was refused before it was judged."""
        known = kind if isinstance(kind, str) and kind in FACT_TYPES else "unknown"
        self.one(known, getattr(error, "rule", "malformed"))

    def one(self, kind: str, rule: str) -> None:
        """Count one refusal of a type by a rule."""
        with self._lock:
            self._counted[kind, rule] += 1

    def counted(self) -> dict[tuple[str, str], int]:
        """The numbers so far, by type and rule."""
        with self._lock:
            return dict(self._counted)
