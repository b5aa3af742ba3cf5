"""The versions of the protocol that a subject followed, each with the instant at which it was assigned."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from tests.oracle.history import History
from tests.oracle.said import ASSIGNED, CONSENT_GIVEN, ENROLLED, Said
from tests.oracle.trial import Trial

KINDS = {"consent": {"consent", "majority"}, "assent": {"assent"}}


@dataclass(frozen=True)
class Period:
    """One version, from `since` on: None for the version of the enrolment."""

    trial: Trial
    since: datetime | None = None

    def reaches(self, on: date, known: datetime) -> bool:
        """Whether something of a date, known since an instant, came after the version was assigned.

        The day of the assignment is divided by its instant.
        """
        if self.since is None:
            return True
        day = self.trial.calendar.day_of(self.since)
        return on > day or (on == day and known >= self.since)


def periods(trial: Trial, history: History) -> list[Period]:
    """The versions in the order of their assignments; what nobody voided counts."""
    found = [(history.known(said), said.name, said.data["version"]) for said in history.standing(ASSIGNED)]
    first = Period(trial.versions["1"])
    return [first, *(Period(trial.versions[version], since) for since, _, version in sorted(found))]


def held(trial: Trial, history: History, on: date, known: datetime) -> Trial:
    """The version by which something of a date, known since an instant, is judged."""
    return [each for each in periods(trial, history) if each.reaches(on, known)][-1].trial


@dataclass(frozen=True)
class Asked:
    """A consent that a version asks for anew; `given` is the date of the first one that answers."""

    kind: str
    period: Period
    given: date | None


def asked_anew(trial: Trial, history: History) -> list[Asked]:
    """The consents that the assigned versions ask for; one to a later version of the subject's will do."""
    followed = periods(trial, history)
    found = []
    for place, period in enumerate(followed[1:], 1):
        names = {each.trial.version for each in followed[place:]}
        for kind in period.trial.consents:
            if kind == "consent" or _child(trial, history):
                dates = [said.on for said in _given(history, kind) if said.data["version"] in names]
                found.append(Asked(kind, period, min(dates, default=None)))
    return found


def _given(history: History, kind: str) -> list[Said]:
    return [said for said in history.standing(CONSENT_GIVEN) if said.data["kind"] in KINDS[kind]]


def _child(trial: Trial, history: History) -> bool:
    limits = trial.versions["1"].rules["eligibility"]
    age = history.standing(ENROLLED)[-1].data["screening"]["age_years"]
    return bool(limits["assent_years"]["at_least"] <= age < limits["consent_of_age"]["at_least"])
