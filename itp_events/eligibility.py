"""The inclusion criteria (synopsis): which of them an enrolment does not meet, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from itp_events.events import Enrolled, Screening
from itp_events.protocol import Eligibility, Limit, Protocol


def unmet(protocol: Protocol, enrolled: Enrolled) -> tuple[str, ...]:
    """One sentence for each criterion not met, with the value and the limit; empty when eligible.

    A value that a criterion needs and that is absent is named, never guessed.
    """
    return tuple(problem for check in _CRITERIA for problem in check(protocol.eligibility, enrolled))


def _consent(rules: Eligibility, enrolled: Enrolled) -> Iterator[str]:
    age = enrolled.screening.age_years
    if enrolled.consent_on > enrolled.on:
        yield f"consent given on {enrolled.consent_on}, must be by the day of enrolment, {enrolled.on}"
    if not rules.consent_of_age.holds(age) and enrolled.consent_by != "guardian":
        of_age = f"{rules.consent_of_age.at_least:g}"
        yield f"consent by the subject at {age} years, must be by a guardian under {of_age}"
    needs_assent = rules.assent_years.holds(age) and not rules.consent_of_age.holds(age)
    if needs_assent and enrolled.assent_on is None:
        yield f"assent_on is missing, needed from {rules.assent_years.at_least:g} years of age"
    if needs_assent and enrolled.assent_on and enrolled.assent_on > enrolled.on:
        yield f"assent given on {enrolled.assent_on}, must be by the day of enrolment, {enrolled.on}"


def _age(rules: Eligibility, enrolled: Enrolled) -> Iterator[str]:
    age, limit = enrolled.screening.age_years, rules.age_years
    if not limit.holds(age):
        yield f"age {age} years, must be {limit.at_least:g} to {limit.at_most:g}"


def _itp(rules: Eligibility, enrolled: Enrolled) -> Iterator[str]:
    screening = enrolled.screening
    if not rules.itp_months.holds(screening.itp_months):
        yield f"ITP for {screening.itp_months:g} months, must be {rules.itp_months} months"
    failed = screening.failed
    if not failed.splenectomy and not (failed.first_line and failed.second_line and failed.rituximab):
        names = (("first-line drugs", failed.first_line), ("second-line drugs", failed.second_line))
        missing = [name for name, done in (*names, ("rituximab", failed.rituximab)) if not done]
        yield f"not refractory: no failure of {', '.join(missing)}, nor of splenectomy"


def _maintenance(rules: Eligibility, enrolled: Enrolled) -> Iterator[str]:
    regimen = enrolled.screening.maintenance
    if regimen and not rules.maintenance_weeks.holds(regimen.stable_weeks):
        weeks = f"{regimen.stable_weeks:g} weeks, must be {rules.maintenance_weeks}"
        yield f"maintenance dose of {regimen.drug} stable for {weeks}"


def _liver_and_kidney(rules: Eligibility, enrolled: Enrolled) -> Iterator[str]:
    screening = enrolled.screening
    for name, value, limit in (
        ("ALT", screening.alt_x_uln, rules.alt_x_uln),
        ("AST", screening.ast_x_uln, rules.ast_x_uln),
        ("bilirubin", screening.bilirubin_x_uln, rules.bilirubin_x_uln),
    ):
        if not limit.holds(value):
            yield f"{name} {value:g} x ULN, limit {limit.at_most:g}"
    yield from _kidney(rules, screening)


def _kidney(rules: Eligibility, screening: Screening) -> Iterator[str]:
    def said(name: str, unit: str, value: float, limit: Limit) -> str:
        return f"{name} {value:g} {unit}, must be {limit}"

    creatinine, clearance = screening.creatinine_x_uln, screening.creatinine_clearance_ml_min
    if creatinine is None and clearance is None:
        yield "creatinine_x_uln or creatinine_clearance_ml_min is missing, one of them is needed"
        return
    if creatinine is not None and rules.creatinine_x_uln.holds(creatinine):
        return
    if clearance is not None and rules.creatinine_clearance_ml_min.holds(clearance):
        return
    values = []
    if creatinine is not None:
        values.append(said("creatinine", "x ULN", creatinine, rules.creatinine_x_uln))
    if clearance is not None:
        values.append(said("creatinine clearance", "ml/min", clearance, rules.creatinine_clearance_ml_min))
    yield " and ".join(values)


def _women(_: Eligibility, enrolled: Enrolled) -> Iterator[str]:
    screening = enrolled.screening
    if screening.sex != "female" or not screening.childbearing:
        return
    if screening.pregnancy_test is None:
        yield "pregnancy_test is missing, needed for women of childbearing age"
    elif screening.pregnancy_test != "negative":
        yield f"pregnancy test {screening.pregnancy_test}, must be negative"
    if screening.breastfeeding is None:
        yield "breastfeeding is missing, needed for women of childbearing age"
    elif screening.breastfeeding:
        yield "breast-feeding, must not be"
    yield from _contraception(screening, "women of childbearing age")


def _men(_: Eligibility, enrolled: Enrolled) -> Iterator[str]:
    screening = enrolled.screening
    if screening.sex == "male" and screening.childbearing:
        yield from _contraception(screening, "fertile men")


def _contraception(screening: Screening, who: str) -> Iterator[str]:
    if screening.contraception is None:
        yield f"contraception is missing, needed for {who}"
    elif not screening.contraception:
        yield f"no contraception agreed, needed for {who}"


_CRITERIA: tuple[Callable[[Eligibility, Enrolled], Iterator[str]], ...] = (
    _consent,
    _age,
    _itp,
    _maintenance,
    _liver_and_kidney,
    _women,
    _men,
)
