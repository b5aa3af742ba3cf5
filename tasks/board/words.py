"""The study's own terms in plain words: dates with their weekday, steps, criteria.

The texts of notices have their own, in each language (`tasks.text.wording`).
"""

from __future__ import annotations

import re
from datetime import date

from itp_events.notices.steps import Step
from itp_events.rules.explain import day

_STEPS = {
    "T": "reminder for the day itself",
    "last-day": "last day of the window",
    "no-show": "booked day passed, nothing recorded",
    "sae": "safety event reported",
    "stand-down": "cells not needed as planned",
    "out-of-window": "done outside its window",
    "booking-out-of-window": "booked outside its window",
    # The word is recorded, not given: the day may lie before the hold or the stop.
    "infusion-on-hold": "infusion recorded while on hold or after a stop",
    "flag": "withdrawal criterion met",
    "disposition": "disposition to be chosen",
    "exit": "left the study",
    "digest": "daily digest",
    "majority": "may come of age during the study",
    "assent": "may reach the age of assent during the study",
    "cannot-come": "the subject cannot come on the agreed day",
    "re-consent": "consent to another protocol version needed",
    "death-unrecorded": "fatal event, death not recorded",
    "dose-deviation": "cells given differ from the dose",
    "eligibility": "criteria not met after a correction",
    "channel-dead": "a channel fails",
    "trouble": "something must be mended",
    "duty-gap": "nobody is on duty",
    "duty-hand-over": "what is open, for who takes over or is back",
}
# The protocol file gives reminders and rungs these names.
_NUMBERED = {
    r"T-(\d+)d": "reminder {} days before",
    r"rung-(\d+)": "escalation, step {}",
}
_REPEATED = {"sae": "safety report: {} h have passed", "decision": "decision asked for, time {}"}


def on(value: date, today: date | None = None) -> str:
    """A date with its weekday, as `Tue 24 Nov 2026`; without the year when it is that of `today`."""
    short = f"{value:%a} {value.day} {value:%b}"
    return short if today and value.year == today.year else f"{value:%a} {day(value)}"


def criterion(name: str) -> str:
    """A withdrawal criterion, as `adverse event`."""
    return name.replace("-", " ")


def step(name: str) -> str:
    """The matter of a notice, as `reminder 7 days before`."""
    family, number = Step.read(name)
    if number:
        return _REPEATED[family].format(number)
    for pattern, words in _NUMBERED.items():
        if found := re.fullmatch(pattern, name):
            return words.format(found[1]).replace(" 1 days", " 1 day")
    return _STEPS.get(name, name.replace("-", " "))


def ago(days: int) -> str:
    """The time that something has lasted, as `since today` or `3 days`."""
    return "since today" if days == 0 else f"{days} day" if days == 1 else f"{days} days"
