"""`itp screening`: the screening log, for whoever answers for who was refused and why."""

import pytest

from tests.deployments.cli.conftest import At, Itp, Write
from tests.support.study import Json, Study

pytestmark = pytest.mark.requirement("ELI-01")


def _refused(code: str, **screening: object) -> Json:
    study = Study(code=code)
    return study.enrolment("2026-01-05", at="2026-01-05 09:30", screening=screening).to_json() | {"id": code}


def test_the_screening_log_names_each_refusal_with_its_values_and_limits(
    itp: Itp, lines: Write, at: At
) -> None:
    raws = (_refused("ITP-008", ast_x_uln=3.4, itp_months=3), _refused("ITP-009", age_years=76))
    assert itp("record", lines(*raws), **at("2026-01-05T10:00:00+08:00")).code == 2
    out = itp("screening", **at("2026-01-08T10:00:00+08:00")).out
    assert "ITP-008  5 Jan 2026  ITP for 3 months, must be more than 3 months" in out
    assert "                     AST 3.4 x ULN, limit 3" in out
    assert "2 enrolments refused" in out
    rows = itp("screening", "--json", **at("2026-01-08T10:00:00+08:00")).json
    # The demonstration's clock goes on while the command is loaded.
    assert rows[1].pop("recorded_at").startswith("2026-01-05T02:")
    assert rows[1] == {
        "subject": "ITP-009",
        "on": "2026-01-05",
        "unmet": ["age 76 years, must be 4 to 75"],
    }


def test_an_empty_screening_log_says_so(itp: Itp, at: At, enrolled: Study) -> None:
    assert itp("screening", **at("2026-01-08T10:00:00+08:00")).out == "No enrolment has been refused.\n"
