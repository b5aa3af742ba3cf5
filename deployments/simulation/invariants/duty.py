"""Every notice that leaves reaches somebody who is on duty, or who stands in because nobody is; nobody away.

The people whom the service would tell are compared with the book of the site, which shares nothing with its
roster. Hand-over itself, claims and providers that fail are exercised by `python -m tests.duty`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from deployments.simulation.people.on_duty import AUDIENCES, SITE, Duty
from itp_events.duty.answering import answer
from itp_events.protocol.model import Ladder

# Who is asked when nobody is on duty, as the ladder of the built-in protocol has it.
_NEXT = {"cell-lab": "coordinator", "coordinator": "investigator", "investigator": "sponsor"}


def told(duty: Duty, ladder: Ladder, audience: str, day: date) -> Iterator[str]:
    """The faults in the choice of people who are told what is for an audience on a site-local day."""
    found = answer(duty.roster, ladder, audience, SITE, day, lambda _: True)
    expected = audience
    while expected in AUDIENCES and not duty.book.answering(expected, day):
        expected = _NEXT[expected]
    if found.audience != expected:
        yield f"what is for {audience} goes to {found.audience} on {day}, and not to {expected}"
    people, right = set(found.people or ()), duty.book.answering(expected, day)
    if expected in AUDIENCES and people != right:
        yield f"{sorted(people)} are told as {audience} on {day}, and not {sorted(right)}"
    if away := sorted(person for person in people if (person, day) in duty.book.away):
        yield f"{', '.join(away)} told as {audience} on {day}, and away"
    if len(people) < len(found.people or ()):
        yield f"somebody is told twice as {audience} on {day}"
