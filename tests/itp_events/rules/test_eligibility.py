"""Inclusion criteria: at, below and above every limit, and the words of a refusal."""

from typing import Any

import pytest

from deployments.example_subject import ELIGIBLE
from itp_events.errors import NotEligible
from itp_events.events import Enrolled
from itp_events.rules.eligibility import unmet
from tests.support.study import Json, Study, altered

pytestmark = pytest.mark.requirement("ELI-01")

FAILED = {"first_line": True, "second_line": True, "rituximab": True, "splenectomy": False}
MAN = {
    "sex": "male",
    "childbearing": True,
    "pregnancy_test": None,
    "breastfeeding": None,
    "contraception": True,
}
OLD_WOMAN = {"childbearing": False, "pregnancy_test": None, "breastfeeding": None, "contraception": None}
CHILD = {**OLD_WOMAN, "age_years": 10}


def problems(screening: Json | None = None, **data: Any) -> tuple[str, ...]:
    """The criteria that an otherwise eligible subject with these findings does not meet."""
    study = Study()
    try:
        study.enrol("2026-01-05", screening=screening, **data)
    except NotEligible as refusal:
        return refusal.unmet
    return ()


def test_a_subject_that_meets_all_criteria_is_enrolled() -> None:
    assert problems() == ()


# Each limit: at, below and above


@pytest.mark.requirement("ELI-02", "ELI-03", "ELI-04", "ELI-05")
@pytest.mark.parametrize(
    ("finding", "value", "said"),
    [
        ("age_years", 3, "age 3 years, must be 4 to 75"),
        ("age_years", 4, None),
        ("age_years", 75, None),
        ("age_years", 76, "age 76 years, must be 4 to 75"),
        ("itp_months", 2.9, "ITP for 2.9 months, must be more than 3 months"),
        ("itp_months", 3, "ITP for 3 months, must be more than 3 months"),
        ("itp_months", 3.1, None),
        ("alt_x_uln", 2.9, None),
        ("alt_x_uln", 3, None),
        ("alt_x_uln", 3.01, "ALT 3.01 x ULN, limit 3†"),
        ("ast_x_uln", 3, None),
        ("ast_x_uln", 3.4, "AST 3.4 x ULN, limit 3†"),
        ("bilirubin_x_uln", 1.4, None),
        ("bilirubin_x_uln", 1.5, None),
        ("bilirubin_x_uln", 1.6, "bilirubin 1.6 x ULN, limit 1.5"),
    ],
)
def test_limits_are_inclusive_as_written(finding: str, value: float, said: str | None) -> None:
    young = {"consent_by": "guardian"} if finding == "age_years" and value < 18 else {}
    infant = OLD_WOMAN if finding == "age_years" else {}
    assert problems({**infant, finding: value}, **young) == ((said,) if said else ())


@pytest.mark.requirement("ELI-05")
def test_both_alt_and_ast_must_be_within_their_limits() -> None:
    assert problems({"alt_x_uln": 3.5, "ast_x_uln": 1}) == ("ALT 3.5 x ULN, limit 3†",)
    assert problems({"alt_x_uln": 1, "ast_x_uln": 3.5}) == ("AST 3.5 x ULN, limit 3†",)


def test_a_refusal_names_every_criterion_not_met() -> None:
    found = problems({"alt_x_uln": 3.4, "itp_months": 3, "bilirubin_x_uln": 2, "breastfeeding": True})
    assert found == (
        "ITP for 3 months, must be more than 3 months",
        "ALT 3.4 x ULN, limit 3†",
        "bilirubin 2 x ULN, limit 1.5",
        "breast-feeding, must not be",
    )


def test_a_refusal_is_one_line_that_names_the_subject() -> None:
    with pytest.raises(NotEligible) as caught:
        Study(code="ITP-009").enrol("2026-01-05", screening={"alt_x_uln": 3.4, "itp_months": 3})
    message = str(caught.value)
    assert "ITP-009" in message
    assert "ALT 3.4 x ULN, limit 3†" in message
    assert "\n" not in message


# Kidney: one of two


@pytest.mark.requirement("ELI-05")
@pytest.mark.parametrize(
    ("creatinine", "clearance", "eligible"),
    [
        (1.5, None, True),
        (1.4, 20, True),
        (1.51, 75.1, True),
        (None, 75.1, True),
        (None, 75, False),
        (1.51, 75, False),
        (1.51, None, False),
        (2, 60, False),
    ],
)
def test_creatinine_or_its_clearance_must_be_within_the_limit(
    creatinine: float | None, clearance: float | None, eligible: bool
) -> None:
    found = problems({"creatinine_x_uln": creatinine, "creatinine_clearance_ml_min": clearance})
    assert (found == ()) is eligible
    for value, words in ((creatinine, "at most 1.5"), (clearance, "more than 75")):
        if not eligible and value is not None:
            assert f"{value:g}" in found[0]
            assert words in found[0]


@pytest.mark.requirement("ELI-05")
def test_without_creatinine_and_clearance_the_missing_values_are_named() -> None:
    (found,) = problems({"creatinine_x_uln": None, "creatinine_clearance_ml_min": None})
    assert "creatinine_x_uln" in found
    assert "creatinine_clearance_ml_min" in found
    assert "missing" in found


# Refractory: three lines of treatment, or splenectomy


@pytest.mark.requirement("ELI-03")
@pytest.mark.parametrize("line", ["first_line", "second_line", "rituximab"])
def test_each_of_the_three_treatments_must_have_failed(line: str) -> None:
    (found,) = problems({"failed": {**FAILED, line: False}})
    assert "not refractory" in found
    assert {"first_line": "first-line", "second_line": "second-line"}.get(line, line) in found


@pytest.mark.requirement("ELI-03")
def test_a_failed_splenectomy_stands_for_all_three() -> None:
    none = dict.fromkeys(FAILED, False)
    assert problems({"failed": {**none, "splenectomy": True}}) == ()
    assert len(problems({"failed": none})) == 1


# Maintenance


@pytest.mark.requirement("ELI-04")
@pytest.mark.parametrize(
    ("regimen", "eligible"),
    [
        (None, True),
        ({"drug": "danazol", "stable_weeks": 4}, True),
        ({"drug": "danazol", "stable_weeks": 3.9}, False),
    ],
)
def test_a_maintenance_dose_must_be_stable_for_four_weeks(regimen: Json | None, eligible: bool) -> None:
    found = problems({"maintenance": regimen})
    assert (found == ()) is eligible
    if not eligible:
        assert found == ("maintenance dose of danazol stable for 3.9 weeks, must be at least 4",)


# Women of childbearing age, fertile men


@pytest.mark.requirement("ELI-06")
@pytest.mark.parametrize(
    ("finding", "value", "said"),
    [
        ("pregnancy_test", "positive", "pregnancy test positive, must be negative"),
        ("pregnancy_test", "not-done", "pregnancy test not-done, must be negative"),
        ("pregnancy_test", None, "pregnancy_test is missing"),
        ("breastfeeding", True, "breast-feeding, must not be"),
        ("breastfeeding", None, "breastfeeding is missing"),
        ("contraception", False, "no contraception agreed"),
        ("contraception", None, "contraception is missing"),
    ],
)
def test_women_of_childbearing_age_need_test_weaning_and_contraception(
    finding: str, value: object, said: str
) -> None:
    (found,) = problems({finding: value})
    assert found.startswith(said)
    assert problems({**OLD_WOMAN, finding: value}) == ()


@pytest.mark.requirement("ELI-06")
def test_fertile_men_need_contraception_and_no_pregnancy_test() -> None:
    assert problems(MAN) == ()
    assert problems({**MAN, "contraception": False}) == ("no contraception agreed, needed for fertile men",)
    assert problems({**MAN, "contraception": None}) == ("contraception is missing, needed for fertile men",)
    assert problems({**MAN, "childbearing": False, "contraception": None}) == ()


# Consent and assent


@pytest.mark.requirement("CON-01")
@pytest.mark.parametrize(
    ("age", "by", "assent", "said"),
    [
        (18, "subject", None, None),
        (17, "guardian", "2025-12-20", None),
        (17, "subject", "2025-12-20", "consent by the subject at 17 years, must be by a guardian under 18†"),
        (17, "guardian", None, "assent_on is missing, needed from 8 years of age†"),
        (8, "guardian", "2025-12-20", None),
        (8, "guardian", None, "assent_on is missing, needed from 8 years of age†"),
        (7, "guardian", None, None),
        (7, "subject", None, "consent by the subject at 7 years, must be by a guardian under 18†"),
    ],
)
def test_minors_need_a_guardians_consent_and_from_eight_their_own_assent(
    age: int, by: str, assent: str | None, said: str | None
) -> None:
    found = problems({**CHILD, "age_years": age}, consent_by=by, assent_on=assent)
    assert found == ((said,) if said else ())


@pytest.mark.requirement("CON-01")
def test_consent_and_assent_are_given_by_the_day_of_enrolment() -> None:
    assert problems(consent_on="2026-01-05") == ()
    (late,) = problems(consent_on="2026-01-06")
    assert "2026-01-06" in late
    assert problems(CHILD, consent_by="guardian", assent_on="2026-01-05") == ()
    (late,) = problems(CHILD, consent_by="guardian", assent_on="2026-01-06")
    assert late.startswith("assent given on 2026-01-06")


# Corrections, and limits as data


@pytest.mark.requirement("ELI-07")
def test_a_correction_that_now_fails_is_accepted_and_alerts() -> None:
    study = Study()
    first = study.enrol("2026-01-05")
    again = study.enrolment("2026-01-05", at="2026-01-06", screening={"ast_x_uln": 3.4})
    study.record(study.void(first, "2026-01-06"), again)
    steps = [(step, audience) for step, audience, _ in study.plan("2026-01-07").steps("notices")]
    assert ("eligibility", "investigator") in steps
    assert ("eligibility", "coordinator") in steps


@pytest.mark.requirement("PRO-01")
def test_a_limit_changed_in_the_protocol_file_is_another_limit() -> None:
    stricter = altered(lambda data: data["eligibility"]["alt_x_uln"].update({"at_most": 2.5}))
    enrolled = Study().enrolment("2026-01-05", screening={**ELIGIBLE, "alt_x_uln": 2.6})
    assert isinstance(enrolled.data, Enrolled)
    assert [str(each) for each in unmet(stricter, enrolled.data)] == ["ALT 2.6 x ULN, limit 2.5†"]
    assert unmet(Study().protocol, enrolled.data) == ()


@pytest.mark.requirement("ELI-05")
def test_a_value_just_beyond_its_limit_is_not_rounded_to_it() -> None:
    assert problems({"ast_x_uln": 3.0000001}) == ("AST 3.0000001 x ULN, limit 3†",)
