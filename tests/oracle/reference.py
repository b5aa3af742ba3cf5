"""The plan of one subject by the second implementation, in the form that `itp plan --json` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.oracle.intake import judged
from tests.oracle.said import ENROLLED, read
from tests.oracle.summary import summary
from tests.oracle.trial import trial


@dataclass(frozen=True)
class Answer:
    """What became of each event, and the plan; None without an enrolment."""

    verdicts: list[str]
    rules: list[str]
    plan: dict[str, Any] | None


def answer(events: Sequence[dict[str, Any]], as_of: datetime) -> Answer:
    """Judges the events reported up to an instant and gives the plan of what was let in."""
    rules = trial()
    said = [read(place, event, rules.calendar.zone) for place, event in enumerate(events)]
    verdicts = judged(rules, [each for each in said if each.time <= as_of], as_of)
    kinds = [verdicts.kinds.get(each.place, "later") for each in said]
    broken = [verdicts.rules.get(each.place, "") for each in said]
    if not verdicts.history.standing(ENROLLED):
        return Answer(kinds, broken, None)
    return Answer(kinds, broken, summary(rules, verdicts.history, as_of))
