"""Amendments: a subject keeps the version of its enrolment until another one is assigned."""

from datetime import UTC, date, datetime

import pytest

from itp_events.errors import BadInput, Refused
from itp_events.outputs.amendment import StateChange, VisitChange, Window, compare
from itp_events.protocol.model import Protocol
from tests.support.study import FOLLOW_UP, INFUSIONS, Json, Study, altered

pytestmark = pytest.mark.requirement("AMD-01")

NOW = datetime(2026, 1, 14, 1, tzinfo=UTC)


def _second(data: dict[str, object]) -> None:
    data["version"] = "2"
    visits = data["visits"]
    assert isinstance(visits, list)
    visits[2] |= {"target": "P3W"}


def _amended() -> Protocol:
    return altered(_second)


def _study(protocol: Protocol | None = None) -> Study:
    study = Study(protocol=protocol)
    study.enrol("2026-01-05")
    study.on_target("INF1", "INF2")
    return study


def test_the_comparison_names_the_dates_that_would_move() -> None:
    """INF3 three weeks after INF2 instead of two moves INF3 and all that hangs on it; no visit done."""
    study = _study()
    found = compare(study.protocol, _amended(), study.log, NOW)
    assert found.visits[0] == VisitChange(
        "INF3",
        Window(date(2026, 1, 23), date(2026, 1, 26), date(2026, 1, 29)),
        Window(date(2026, 1, 30), date(2026, 2, 2), date(2026, 2, 5)),
    )
    assert [change.code for change in found.visits] == [
        planned for planned in study.protocol.by_code if planned not in ("INF1", "INF2")
    ]


def test_the_comparison_names_the_notices_that_would_move() -> None:
    """The reminder seven days ahead of INF3 moves with its target."""
    study = _study()
    found = compare(study.protocol, _amended(), study.log, NOW)
    moved = next(change for change in found.notices if (change.visit, change.step) == ("INF3", "T-7d"))
    assert (moved.old, moved.new) == (
        datetime(2026, 1, 19, 1, tzinfo=UTC),
        datetime(2026, 1, 26, 1, tzinfo=UTC),
    )


def test_the_comparison_names_the_deviations_and_responses_that_would_change() -> None:
    """INF2 a day late is inside a wider window; 120 is no complete response where that begins at 150."""

    def wider(data: Json) -> None:
        data["version"] = "2"
        data["visits"][1] |= {"after": "P3D"}
        data["response"] |= {"complete_from": 150}

    study = Study()
    study.enrol("2026-01-05", baseline_platelets=10)
    study.done("INF1", "2026-01-05")
    study.done("INF2", "2026-01-14", platelets=120, bleeding=0)
    found = compare(study.protocol, altered(wider), study.log, NOW.replace(day=15)).state_changes
    assert StateChange("deviation ITP-001/INF2/window/2026-01-14/+1d", "not important", None) in found
    assert StateChange("response at INF2", "complete response", "response") in found


def test_the_same_protocol_changes_nothing() -> None:
    """A version compared with itself has no difference."""
    study = _study()
    found = compare(study.protocol, study.protocol, study.log, NOW)
    assert (found.visits, found.notices, found.state_changes) == ((), (), ())


def test_a_subject_stays_with_the_version_of_its_enrolment() -> None:
    """A new current version moves nobody; new subjects are pinned to it."""
    first = Study().protocol
    study = _study(first)
    study.decide("2026-01-12 12:00")
    study.protocol = _amended().beside([first])
    assert study.plan("2026-01-14").window("INF3")[1] == "2026-01-26"
    newcomer = _study(study.protocol)
    assert newcomer.plan("2026-01-14").window("INF3")[1] == "2026-02-02"


def test_an_assignment_moves_a_subject_to_another_version() -> None:
    """itp.protocol.assigned plans the subject anew by the version it names."""
    first = Study().protocol
    study = _study(first)
    study.decide("2026-01-12 12:00")
    study.protocol = _amended().beside([first])
    study.state("itp.protocol.assigned", None, "2026-01-13", version="2", reason="amendment 1")
    plan = study.plan("2026-01-14")
    assert plan["protocol"] == {"id": "NCT06813157", "version": "2"}
    assert plan.window("INF3")[1] == "2026-02-02"


def test_a_version_that_is_not_installed_is_refused() -> None:
    """Nobody is moved to a version that the service cannot read."""
    study = _study()
    with pytest.raises(Refused, match="'9' is not installed"):
        study.state("itp.protocol.assigned", None, "2026-01-13", version="9", reason="amendment 1")


def test_a_subject_whose_version_is_gone_is_not_planned_by_another() -> None:
    """A missing version is said, not replaced."""
    study = _study(Study().protocol)
    study.decide("2026-01-12 12:00")
    study.protocol = _amended()
    with pytest.raises(BadInput, match="version '1' is not installed"):
        study.folded()


def test_a_subject_eligible_at_enrolment_stays_so_when_an_amendment_sets_other_limits() -> None:
    """The eligibility alert tells of a correction, not of a stricter version."""

    def stricter(data: Json) -> None:
        data["version"] = "2"
        data["eligibility"]["alt_x_uln"]["at_most"] = 0.5

    study = _study(Study().protocol.beside([altered(stricter)]))
    study.state("itp.protocol.assigned", None, "2026-01-13", version="2", reason="amendment 1")
    assert "eligibility" not in {row["step"] for row in study.plan("2026-01-14")["notices"]}


def test_a_visit_that_counts_as_missed_and_would_be_open_again_is_named() -> None:
    """A wider window takes back a miss of the service: the plan says from what to what."""

    def wider(data: Json) -> None:
        data["version"] = "2"
        data["visits"][2] |= {"after": "P30D"}

    study = _study()
    found = compare(study.protocol, altered(wider), study.log, datetime(2026, 2, 20, 1, tzinfo=UTC))
    assert (found.visits[0].code, found.visits[0].old_outcome, found.visits[0].new_outcome) == (
        "INF3",
        "missed",
        None,
    )
    assert found.state_changes[0] == StateChange("state", "INF4 overdue", "INF3 window open")


def test_a_notice_that_was_sent_already_is_no_change() -> None:
    """A subject whose journey is over under one version: the exit was told, the repetitions were too."""

    def longer(data: Json) -> None:
        data["version"] = "2"
        data["visits"].append(data["visits"][-1] | {"code": "FU-M18", "target": "P18M"})

    study = Study()
    study.enrol()
    study.on_target(*INFUSIONS, *FOLLOW_UP)
    found = compare(study.protocol, altered(longer), study.log, datetime(2027, 12, 1, 1, tzinfo=UTC))
    assert found.state_changes[0] == StateChange("state", "Completed", "Awaiting disposition")
    steps = [(change.step, change.old) for change in found.notices]
    assert set(steps) == {("disposition", None)}
    assert len(steps) <= 3
