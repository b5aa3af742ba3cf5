"""Requirements, protocol file, regulations and tests hang together: nothing names what is not there."""

from pathlib import Path

import pytest

from validation import traces
from validation.requirements import Requirement, Risk, protocol_rules, requirements

pytestmark = pytest.mark.requirement("QLF-02")

RISK = Risk(severity=3, probability=2, detectability=2, why="A test.")
WANTED = [
    Requirement(id=name, says="A rule.", source="service", risk=RISK, area="an")
    for name in ("AAA-01", "AAA-02")
]


def test_every_requirement_has_a_test_and_every_test_a_requirement() -> None:
    assert "\n".join(traces.main()) == ""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of tests with each way to name a requirement, and each fault."""
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_whole.py").write_text(
        'import pytest\npytestmark = [pytest.mark.requirement("AAA-01"), pytest.mark.timeout(3)]\n'
        '@pytest.mark.requirement("AAA-03")\ndef test_two(): ...\ndef test_one(): ...\n'
    )
    (tests / "test_bare.py").write_text("def test_none(): ...\n")
    (tests / "test_tool.py").write_text(
        'import pytest\npytestmark = pytest.mark.tooling("shows a tool")\ndef test_it(): ...\n'
    )
    return tests


def test_marks_of_a_file_and_of_a_test_add_up(folder: Path) -> None:
    found = {trace.test: (set(trace.names), trace.tooling) for trace in traces.traces(folder)}
    assert found == {
        "tests/test_whole.py::test_two": ({"AAA-01", "AAA-03"}, None),
        "tests/test_whole.py::test_one": ({"AAA-01"}, None),
        "tests/test_bare.py::test_none": (set(), None),
        "tests/test_tool.py::test_it": (set(), "shows a tool"),
    }


def test_each_fault_is_one_line_that_says_what_to_add(folder: Path) -> None:
    nameless, unknown, untested = traces.faults(traces.traces(folder), WANTED)
    assert nameless.startswith(
        "tests/test_bare.py names no requirement: add pytestmark = pytest.mark.requirement("
    )
    assert unknown.startswith(
        "tests/test_whole.py::test_two names AAA-03: add it to a file of validation/requirements/"
    )
    assert untested.startswith(
        'no test shows AAA-02: add @pytest.mark.requirement("AAA-02") to one, or take it out of'
    )


def test_a_rule_of_the_protocol_file_that_no_requirement_covers_is_named() -> None:
    left = [entry for entry in requirements() if "dose" not in entry.protocol]
    assert traces.uncovered(left) == [
        "no requirement covers dose of the protocol file: "
        "add it to `protocol` of one in validation/requirements/"
    ]
    more = [*requirements(), WANTED[0].model_copy(update={"protocol": ["visits.INF9"]})]
    assert traces.uncovered(more) == [
        "AAA-01 covers visits.INF9, which the protocol file does not have: "
        "correct it in validation/requirements/"
    ]


def test_the_rules_of_the_protocol_file_are_found_at_every_depth() -> None:
    assert {
        "dose",
        "visits.INF2",
        "reminders.follow-up.T",
        "ladder.rungs.rung-3",
        "ladder.missed_on_day",
        "alerts.sae",
        "withdrawal.death",
        "eligibility.age_years",
        "notices_at",
    } <= set(protocol_rules())


def test_a_point_of_a_regulation_rests_on_requirements_that_there_are() -> None:
    lines = traces.unfounded([entry for entry in requirements() if entry.id != "LOG-01"])
    assert "validation/regulations.yaml, 21 CFR Part 11 11.10(e): there is no LOG-01" in lines


@pytest.mark.parametrize(
    ("levels", "kind"), [((3, 1, 3), "high"), ((3, 2, 2), "high"), ((2, 2, 2), "medium"), ((2, 1, 2), "low")]
)
def test_a_risk_is_high_where_harm_would_be_noticed_by_nobody(
    levels: tuple[int, int, int], kind: str
) -> None:
    severity, probability, detectability = levels
    assert Risk(severity=severity, probability=probability, detectability=detectability, why="").kind == kind
