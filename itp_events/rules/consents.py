"""The consents that a protocol version asks for anew from the subjects that are assigned to it.

This module reminds of nothing and judges no visit. A version asks from its assignment on. A consent to a
later version of the subject's covers the earlier ones, and the consent that a subject gives on coming of age
is a consent in their own name.
"""

from __future__ import annotations

from datetime import date
from typing import Literal, NamedTuple

from itp_events.events import ConsentGiven
from itp_events.rules.subject import Subject, VersionPeriod, as_data

_COVERS = {"consent": ("consent", "majority"), "assent": ("assent",)}


class NewConsent(NamedTuple):
    """A consent that a version asks for anew since `period`; `given_on` is its site-local date, if given."""

    kind: Literal["consent", "assent"]
    period: VersionPeriod
    given_on: date | None

    def __str__(self) -> str:
        """The consent in words, as `consent to protocol version 2`."""
        return f"{self.kind} to protocol version {self.version}"

    @property
    def version(self) -> str:
        """The version that asks for it."""
        return self.period.protocol.version

    @property
    def named(self) -> tuple[str, str]:
        """The kind and the version, by which a notice about it tells it from others."""
        return self.kind, self.version

    def given_by(self, on: date) -> bool:
        """Whether it was given by a site-local date, that date included."""
        return self.given_on is not None and self.given_on <= on


def new_consents(subject: Subject) -> tuple[NewConsent, ...]:
    """The consents that the versions to which a subject was assigned ask for, given or not, in order."""
    return tuple(
        NewConsent(kind, period, _given_on(subject, kind, number))
        for number, period in enumerate(subject.periods)
        if period.assigned
        for kind in period.protocol.consents
        if kind == "consent" or assents(subject)
    )


def assents(subject: Subject) -> bool:
    """Whether the subject was a child at enrolment whose own assent was needed."""
    rules, age = subject.periods[0].protocol.eligibility, subject.enrolled.screening.age_years
    return rules.assent_years.holds(age) and not rules.consent_of_age.holds(age)


def _given_on(subject: Subject, kind: str, number: int) -> date | None:
    """The first date of a consent of that kind to the version of a period, or of a later one."""
    versions = {period.protocol.version for period in subject.periods[number:]}
    given = (as_data(event, ConsentGiven) for event in subject.of(ConsentGiven))
    dates = (each.on for each in given if each.kind in _COVERS[kind] and each.version in versions)
    return min(dates, default=None)
