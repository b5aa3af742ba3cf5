"""The inclusion criteria of the synopsis: those that an enrolment does not meet, with a sentence for each.

This module refuses nothing: intake does. The limits are protocol data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from itp_events.events import Enrolled, Screening, plain_number
from itp_events.marks import marked
from itp_events.protocol.model import Eligibility, Limit, Protocol


@dataclass(frozen=True, slots=True)
class Unmet:
    """A criterion that is not met: its name `rule`, and the values of its sentence, limits included, as text.

    `assumed`: the limit is an assumption, or the reading of the synopsis behind it.
    """

    rule: str
    values: dict[str, str]
    assumed: bool = False

    @property
    def criterion(self) -> tuple[str, str]:
        """The criterion alone: its rule, and the name of the value or drug when the rule is about several."""
        return self.rule, self.values.get("name") or self.values.get("drug") or ""

    def __str__(self) -> str:
        """The sentence, as `bilirubin 1.6 x ULN, limit 1.5`; marked when it rests on an assumption."""
        return marked(SENTENCES[self.rule].format(**self.values), self.assumed)


def unmet(protocol: Protocol, enrolled: Enrolled) -> tuple[Unmet, ...]:
    """Each criterion that an enrolment does not meet, with the value and the limit; empty when it meets all.

    A value that a criterion needs and that is absent fails the criterion and is named.
    """
    return tuple(problem for check in _CRITERIA for problem in check(protocol.eligibility, enrolled))


# In English, by the name of the rule.
SENTENCES = {
    "consent-late": "consent given on {given}, must be by the day of enrolment, {on}",
    "consent-by": "consent by the subject at {age} years, must be by a guardian under {of_age}",
    "assent-missing": "assent_on is missing, needed from {years} years of age",
    "assent-late": "assent given on {given}, must be by the day of enrolment, {on}",
    "age": "age {age} years, must be {low} to {high}",
    "itp-months": "ITP for {months} months, must be {limit} months",
    "not-refractory": "not refractory: no failure of {missing}, nor of splenectomy",
    "maintenance": "maintenance dose of {drug} stable for {weeks} weeks, must be {limit}",
    "liver": "{name} {value} x ULN, limit {limit}",
    "kidney-missing": "creatinine_x_uln or creatinine_clearance_ml_min is missing, one of them is needed",
    "creatinine": "creatinine {creatinine} x ULN, must be {limit}",
    "clearance": "creatinine clearance {clearance} ml/min, must be {more}",
    "kidney": "creatinine {creatinine} x ULN, must be {limit} and creatinine clearance {clearance} ml/min, "
    "must be {more}",
    "test-missing": "pregnancy_test is missing, needed for women of childbearing age",
    "test": "pregnancy test {test}, must be negative",
    "breastfeeding-missing": "breastfeeding is missing, needed for women of childbearing age",
    "breastfeeding": "breast-feeding, must not be",
    "contraception-missing": "contraception is missing, needed for {who}",
    "contraception": "no contraception agreed, needed for {who}",
}


def _consent(rules: Eligibility, enrolled: Enrolled) -> Iterator[Unmet]:
    age, on = enrolled.screening.age_years, str(enrolled.on)
    minor = not rules.consent_of_age.holds(age)
    if enrolled.consent_on > enrolled.on:
        yield Unmet("consent-late", {"given": str(enrolled.consent_on), "on": on})
    if minor and enrolled.consent_by != "guardian":
        of_age = rules.consent_of_age
        yield Unmet("consent-by", {"age": str(age), "of_age": _number(of_age.at_least)}, of_age.assumed)
    if not minor or not rules.assent_years.holds(age):
        return
    if enrolled.assent_on is None:
        years = rules.assent_years
        yield Unmet("assent-missing", {"years": _number(years.at_least)}, years.assumed)
    elif enrolled.assent_on > enrolled.on:
        yield Unmet("assent-late", {"given": str(enrolled.assent_on), "on": on}, rules.assent_years.assumed)


def _age(rules: Eligibility, enrolled: Enrolled) -> Iterator[Unmet]:
    age, limit = enrolled.screening.age_years, rules.age_years
    if not limit.holds(age):
        bounds = {"low": _number(limit.at_least), "high": _number(limit.at_most)}
        yield Unmet("age", {"age": str(age)} | bounds, limit.assumed)


def _itp(rules: Eligibility, enrolled: Enrolled) -> Iterator[Unmet]:
    screening = enrolled.screening
    if not rules.itp_months.holds(screening.itp_months):
        months = {"months": _number(screening.itp_months), "limit": str(rules.itp_months)}
        yield Unmet("itp-months", months, rules.itp_months.assumed)
    failed = screening.failed
    if not failed.splenectomy and not (failed.first_line and failed.second_line and failed.rituximab):
        names = (("first-line drugs", failed.first_line), ("second-line drugs", failed.second_line))
        missing = [name for name, done in (*names, ("rituximab", failed.rituximab)) if not done]
        yield Unmet("not-refractory", {"missing": ", ".join(missing)})


def _maintenance(rules: Eligibility, enrolled: Enrolled) -> Iterator[Unmet]:
    limit, regimens = rules.maintenance_weeks, enrolled.screening.regimens
    # The reading of the synopsis matters only for a subject with several regimens.
    assumed = limit.source == "assumption" or (limit.assumed and len(regimens) > 1)
    for regimen in regimens:
        if not limit.holds(regimen.stable_weeks):
            weeks = _number(regimen.stable_weeks)
            values = {"drug": regimen.drug, "weeks": weeks, "limit": str(limit)}
            yield Unmet("maintenance", values, assumed)


def _liver_and_kidney(rules: Eligibility, enrolled: Enrolled) -> Iterator[Unmet]:
    screening = enrolled.screening
    for name, value, limit in (
        ("ALT", screening.alt_x_uln, rules.alt_x_uln),
        ("AST", screening.ast_x_uln, rules.ast_x_uln),
        ("bilirubin", screening.bilirubin_x_uln, rules.bilirubin_x_uln),
    ):
        if not limit.holds(value):
            said = {"name": name, "value": _number(value), "limit": _number(limit.at_most)}
            yield Unmet("liver", said, limit.assumed)
    yield from _kidney(rules, screening)


def _kidney(rules: Eligibility, screening: Screening) -> Iterator[Unmet]:
    creatinine, clearance = screening.creatinine_x_uln, screening.creatinine_clearance_ml_min
    if _holds(rules.creatinine_x_uln, creatinine) or _holds(rules.creatinine_clearance_ml_min, clearance):
        return
    values = {"limit": str(rules.creatinine_x_uln), "more": str(rules.creatinine_clearance_ml_min)}
    values |= {"creatinine": _number(creatinine), "clearance": _number(clearance)}
    rule = "kidney" if creatinine is not None else "clearance"
    if clearance is None:
        rule = "creatinine" if creatinine is not None else "kidney-missing"
    assumed = rules.creatinine_x_uln.assumed or rules.creatinine_clearance_ml_min.assumed
    yield Unmet(rule, values, assumed)


def _holds(limit: Limit, value: float | None) -> bool:
    return value is not None and limit.holds(value)


def _women(_: Eligibility, enrolled: Enrolled) -> Iterator[Unmet]:
    screening = enrolled.screening
    if screening.sex != "female" or not screening.childbearing:
        return
    if screening.pregnancy_test is None:
        yield Unmet("test-missing", {})
    elif screening.pregnancy_test != "negative":
        yield Unmet("test", {"test": screening.pregnancy_test})
    if screening.breastfeeding is None:
        yield Unmet("breastfeeding-missing", {})
    elif screening.breastfeeding:
        yield Unmet("breastfeeding", {})
    yield from _contraception(screening, "women of childbearing age")


def _men(_: Eligibility, enrolled: Enrolled) -> Iterator[Unmet]:
    screening = enrolled.screening
    if screening.sex == "male" and screening.childbearing:
        yield from _contraception(screening, "fertile men")


def _contraception(screening: Screening, who: str) -> Iterator[Unmet]:
    if screening.contraception is None:
        yield Unmet("contraception-missing", {"who": who})
    elif not screening.contraception:
        yield Unmet("contraception", {"who": who})


def _number(value: float | None) -> str:
    """A number as people write it, never rounded to the limit that it misses; empty for None."""
    if value is None:
        return ""
    return plain_number(value)


_CRITERIA: tuple[Callable[[Eligibility, Enrolled], Iterator[Unmet]], ...] = (
    _consent,
    _age,
    _itp,
    _maintenance,
    _liver_and_kidney,
    _women,
    _men,
)
