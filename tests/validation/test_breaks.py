"""A rule broken on purpose is found by a test of the requirement that it breaks."""

from pathlib import Path

import pytest

from deployments.qualification.qualify import STEPS
from validation import breaks
from validation.requirements import requirements
from validation.traces import ROOT

pytestmark = pytest.mark.requirement("QLF-02")


def test_there_are_ten_breaks_of_ten_requirements_and_each_fits_the_source() -> None:
    assert len({each.requirement for each in breaks.BREAKS}) == len(breaks.BREAKS) == 10
    assert {each.requirement for each in breaks.BREAKS} <= {each.id for each in requirements()}
    assert {step for each in breaks.BREAKS for step in each.steps} <= {step.id for step in STEPS}
    fitting = [(ROOT / each.file).read_text(encoding="utf-8").count(each.old) for each in breaks.BREAKS]
    assert fitting == [1] * 10


def test_a_broken_rule_fails_a_test_of_its_requirement(tmp_path: Path) -> None:
    clock = next(each for each in breaks.BREAKS if each.requirement == "SAF-02")
    breaks.broken(clock, tmp_path)
    found, said = breaks.found_by_tests(clock, tmp_path)
    assert found, said
    assert "test_" in said
