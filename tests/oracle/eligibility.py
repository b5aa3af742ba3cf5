"""What an enrolment must show: the criteria that it does not meet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from tests.oracle.said import Said
from tests.oracle.trial import Trial

CONSENT = frozenset({"consent", "guardian's consent", "assent"})


def not_met(trial: Trial, said: Said) -> list[str]:
    """The inclusion criteria that an enrolment fails."""
    limits = trial.rules["eligibility"]
    screening = said.data["screening"]
    return [
        *_consent(limits, said),
        *_disease(limits, screening),
        *_organs(limits, screening),
        *_sex(screening),
    ]


def _consent(limits: dict[str, Any], said: Said) -> Iterator[str]:
    age = said.data["screening"]["age_years"]
    if not limits["age_years"]["at_least"] <= age <= limits["age_years"]["at_most"]:
        yield "age"
    guardian = said.data.get("consent_by", "subject") == "guardian"
    if date.fromisoformat(said.data["consent_on"]) > said.on:
        yield "consent"
    minor = age < limits["consent_of_age"]["at_least"]
    if minor and not guardian:
        yield "guardian's consent"
    assent = said.data.get("assent_on")
    late = assent is None or date.fromisoformat(assent) > said.on
    if minor and age >= limits["assent_years"]["at_least"] and late:
        yield "assent"


def _disease(limits: dict[str, Any], screening: dict[str, Any]) -> Iterator[str]:
    if not screening["itp_months"] > limits["itp_months"]["more_than"]:
        yield "duration"
    failed = screening["failed"]
    drugs = failed["first_line"] and failed["second_line"] and failed["rituximab"]
    if not (drugs or failed["splenectomy"]):
        yield "refractory"
    stated = screening.get("maintenance", [])
    for regimen in stated if isinstance(stated, list) else [stated]:
        if regimen["stable_weeks"] < limits["maintenance_weeks"]["at_least"]:
            yield "maintenance"


def _organs(limits: dict[str, Any], screening: dict[str, Any]) -> Iterator[str]:
    for name in ("alt_x_uln", "ast_x_uln", "bilirubin_x_uln"):
        if screening[name] > limits[name]["at_most"]:
            yield name
    creatinine = screening.get("creatinine_x_uln")
    clearance = screening.get("creatinine_clearance_ml_min")
    low = creatinine is not None and creatinine <= limits["creatinine_x_uln"]["at_most"]
    clear = clearance is not None and clearance > limits["creatinine_clearance_ml_min"]["more_than"]
    if not (low or clear):
        yield "kidneys"


def _sex(screening: dict[str, Any]) -> Iterator[str]:
    if not screening["childbearing"]:
        return
    if not screening.get("contraception"):
        yield "contraception"
    if screening["sex"] == "female":
        if screening.get("pregnancy_test") != "negative":
            yield "pregnancy test"
        if screening.get("breastfeeding") is not False:
            yield "breast-feeding"
