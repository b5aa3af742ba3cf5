"""How treatment and study end: stops, exits, and the disposition of each epoch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from tests.oracle.history import History
from tests.oracle.said import (
    COMPLETED,
    CONSENT_WITHDRAWN,
    DECIDED,
    DIED,
    PREGNANCY,
    Said,
)
from tests.oracle.trial import Trial

OTHERWISE = "investigator-decision"


@dataclass(frozen=True)
class Ending:
    """The end of treatment or of the study: its date, the instant it became known, and its disposition."""

    on: date
    known: datetime
    decode: str
    criterion: str | None
    by: Said | None = None


def stated_stops(trial: Trial, history: History, answered: dict[Said, list[str]]) -> list[Ending]:
    """What was stated that stops treatment, in the order in which it applies."""
    stops = [said for said in history.standing(CONSENT_WITHDRAWN, PREGNANCY, DECIDED) if _stops(said)]
    return [_stop(trial, history, said, answered) for said in sorted(stops, key=lambda said: said.rank)]


def _stops(said: Said) -> bool:
    if said.type == CONSENT_WITHDRAWN:
        return bool(said.data["scope"] == "treatment")
    if said.type == PREGNANCY:
        return not said.data.get("partner")
    return bool(said.data["decision"] == "stop-treatment")


def _stop(trial: Trial, history: History, said: Said, answered: dict[Said, list[str]]) -> Ending:
    known = history.known(said)
    if said.type == CONSENT_WITHDRAWN:
        return Ending(said.on, known, _consent_decode(trial, said), "consent-withdrawn", said)
    if said.type == PREGNANCY:
        # What ends treatment rests on its date too, not only on whose pregnancy it is.
        known = history.known(said, lambda each: (each.data.get("partner"), each.on))
        return Ending(said.on, known, trial.criterion("pregnancy")["decode"], "pregnancy", said)
    criterion = _criterion(said, answered)
    return Ending(said.on, known, _decode(trial, said, criterion), criterion, said)


def stated_exit(
    trial: Trial, history: History, answered: dict[Said, list[str]], at_the_end: frozenset[Said]
) -> Ending | None:
    """The first thing stated that ends the study; `at_the_end` are decisions about a last visit not done."""
    found = (
        _exit(trial, history, said, answered, at_the_end)
        for said in sorted(
            history.standing(CONSENT_WITHDRAWN, DIED, DECIDED, COMPLETED), key=lambda said: said.rank
        )
    )
    return next((ending for ending in found if ending), None)


def _exit(
    trial: Trial,
    history: History,
    said: Said,
    answered: dict[Said, list[str]],
    at_the_end: frozenset[Said],
) -> Ending | None:
    known = history.known(said)
    if said.type == DIED:
        return Ending(said.on, known, trial.criterion("death")["decode"], "death", said)
    if said.type == CONSENT_WITHDRAWN:
        whole = said.data["scope"] == "study"
        decode = _consent_decode(trial, said)
        return Ending(said.on, known, decode, "consent-withdrawn", said) if whole else None
    if said.type == COMPLETED:
        last = said.visit == trial.last_visit
        return Ending(said.on, known, "COMPLETED", None, said) if last else None
    if said.data["decision"] == "complete":
        return Ending(said.on, known, "COMPLETED", None, said)
    if said.data["decision"] == "withdraw":
        if said in at_the_end and not said.data.get("criterion") and said not in answered:
            decode = trial.criterion("lost-to-follow-up")["decode"]
            return Ending(said.on, known, said.data.get("decode") or decode, "lost-to-follow-up", said)
        criterion = _criterion(said, answered)
        return Ending(said.on, known, _decode(trial, said, criterion), criterion, said)
    return None


def _criterion(said: Said, answered: dict[Said, list[str]]) -> str:
    named = said.data.get("criterion")
    return str(named) if named else next(iter(answered.get(said, [])), OTHERWISE)


def _decode(trial: Trial, said: Said, criterion: str) -> str:
    return str(said.data.get("decode") or trial.criterion(criterion)["decode"])


def _consent_decode(trial: Trial, said: Said) -> str:
    rule = trial.criterion("consent-withdrawn")
    return str(rule["guardian_decode"] if said.data.get("guardian") else rule["decode"])
