"""What the doors of this process refused, counted while it runs; of refusals the study keeps few."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable

from itp_events.errors import ItpError
from itp_events.events import FACT_TYPES
from tasks.advance import Answer


class Refusals:
    """Refused events, by type and rule."""

    def __init__(self) -> None:
        self._counted: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def note(self, answers: Iterable[Answer]) -> None:
        """Count what was refused of these."""
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
        """How many so far, by type and rule."""
        with self._lock:
            return dict(self._counted)
