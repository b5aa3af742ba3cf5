"""Response of platelets to treatment by the criteria of the International Working Group.

Source: Rodeghiero et al., Blood 2009;113:2386. Platelets in 10^9/L.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from itp_events.events import Completed
from itp_events.view import View

COMPLETE_FROM = 100
RESPONSE_FROM = 30
TIMES_BASELINE = 2

Grade = Literal["complete response", "response", "no response", "not evaluable"]


@dataclass(frozen=True)
class Response:
    """The grade at one visit and why it is so; `platelets` is None where none were recorded."""

    visit: str
    on: date
    platelets: float | None
    grade: Grade
    why: str


def responses(seen: View) -> tuple[Response, ...]:
    """The response at each visit done, in the order of the protocol."""
    return tuple(_responses(seen))


def _responses(seen: View) -> Iterator[Response]:
    baseline = seen.subject.enrolled.baseline_platelets
    for planned in seen.visits:
        if planned.on and planned.event and isinstance(planned.event.data, Completed):
            data = planned.event.data
            found = grade(data.platelets, data.bleeding, baseline)
            yield Response(planned.code, planned.on, data.platelets, *found)


def grade(platelets: float | None, bleeding: bool | int | None, baseline: float | None) -> tuple[Grade, str]:
    """The grade that a count, bleeding and the count at baseline give, with the reason in words."""
    if bleeding:
        # Any of the three is enough for no response, whatever else is known.
        return "no response", "bleeding"
    if platelets is None:
        return "not evaluable", "no platelet count recorded"
    if platelets < RESPONSE_FROM:
        return "no response", f"below {RESPONSE_FROM}"
    if platelets < COMPLETE_FROM and baseline is None:
        return "not evaluable", "no platelet count at baseline"
    if platelets < COMPLETE_FROM and platelets < TIMES_BASELINE * (baseline or 0):
        return "no response", f"below {TIMES_BASELINE} x baseline ({baseline:g})"
    if bleeding is None:
        return "not evaluable", "whether there was bleeding is not recorded"
    if platelets >= COMPLETE_FROM:
        return "complete response", f"{COMPLETE_FROM} or more, no bleeding"
    return "response", f"{RESPONSE_FROM} or more, at least {TIMES_BASELINE} x baseline, no bleeding"
