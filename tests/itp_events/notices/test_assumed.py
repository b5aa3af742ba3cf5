"""A notice is marked when the rule that sends it is an assumption."""

from collections.abc import Iterator

import pytest

from itp_events.notices.assumed import notice_assumed
from tests.support.study import Study, altered

pytestmark = pytest.mark.requirement("WIN-10")


@pytest.mark.parametrize(
    ("kind", "step", "epoch"),
    [
        ("reminder", "T-3d", "treatment"),
        ("escalation", "rung-2", None),
        ("alert", "sae-20h", None),
        ("alert", "decision-3", None),
        ("alert", "exit", None),
    ],
)
def test_a_notice_is_marked_by_the_rule_that_sends_it(kind: str, step: str, epoch: str | None) -> None:
    study = Study()
    assert notice_assumed(study.protocol, kind, step, epoch)  # type: ignore[arg-type]

    def confirmed(data: dict[str, object]) -> None:
        for rule in rules(data):
            rule["source"] = "synopsis"

    assert not notice_assumed(altered(confirmed), kind, step, epoch)  # type: ignore[arg-type]


def rules(value: object) -> Iterator[dict[str, object]]:
    """Every rule that names one source."""
    if isinstance(value, dict):
        if isinstance(value.get("source"), str):
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from rules(each)
