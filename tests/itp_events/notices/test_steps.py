"""A step's number is put into its name and read back in one place."""

from typing import get_args

import pytest

from itp_events.notices.steps import Step
from itp_events.protocol.model import AlertName
from tests.support.study import Study

pytestmark = pytest.mark.requirement("TXT-01")


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("decision-12", Step("decision", 12)),
        ("sae-20h", Step("sae", 20)),
        ("sae", Step("sae")),
        ("disposition", Step("disposition")),
        ("T-7d", Step("T-7d")),
        ("rung-2", Step("rung-2")),
        ("decision-maker", Step("decision-maker")),
    ],
)
def test_a_step_is_read_from_its_name_and_gives_it_again(name: str, step: Step) -> None:
    assert Step.read(name) == step
    assert step.name == name


def test_every_request_for_a_decision_has_one_text_and_each_hour_of_a_clock_its_own() -> None:
    assert {Step.read(f"decision-{number}").text for number in (1, 2, 30)} == {"decision-n"}
    assert [Step.read(name).text for name in ("sae", "sae-20h", "T-3d")] == ["sae", "sae-20h", "T-3d"]


def test_a_wanted_alert_names_its_rule_and_the_number_of_its_step() -> None:
    study = Study()
    study.enrol("2026-01-05")
    study.medication("rescue", "2026-01-06")
    study.adverse_event("2026-01-07", serious=True)
    alerts = [wanted for wanted in study.decide("2026-01-12").wanted_notices if wanted.kind == "alert"]
    assert {wanted.alert for wanted in alerts} >= {"flag", "decision", "sae"}
    for wanted in alerts:
        assert wanted.alert in get_args(AlertName)
        family, number = Step.read(wanted.step)
        assert (family, number) == (wanted.alert, wanted.number)
