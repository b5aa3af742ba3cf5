"""Two implementations of the rules, which share no code, say the same of random histories."""

import ast
from datetime import timedelta
from pathlib import Path

import pytest

from tests.oracle.compare import differences, shrunk
from tests.oracle.histories import case

pytestmark = pytest.mark.requirement("LOG-04")

HERE = Path(__file__).parent
OURS = ("itp_events", "tasks", "flows", "deployments")
# The only modules that know both: they hold one against the other.
KNOWS_BOTH = {"compare.py", Path(__file__).name}


@pytest.mark.parametrize("path", sorted(HERE.rglob("*.py")), ids=lambda path: str(path.relative_to(HERE)))
def test_the_second_implementation_takes_nothing_from_the_first(path: Path) -> None:
    if path.name in KNOWS_BOTH:
        return
    imported = [
        name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) for name in _imported(node)
    ]
    assert not [name for name in imported if name.split(".")[0] in OURS]


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


def test_a_seed_gives_the_same_history_again() -> None:
    assert case(7) == case(7)


def test_histories_hold_every_kind_of_event() -> None:
    said = {event["type"] for seed in range(1, 60) for event in case(seed).events}
    assert len(said) >= 15


def test_a_disagreement_is_shrunk_to_the_events_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every rung of the second implementation fall a day late: what is left shows an overdue visit."""
    monkeypatch.setattr("tests.oracle.ladder.DAY", timedelta(days=2))
    told = next(found for found in map(case, range(1, 40)) if differences(found, {"forecast"}))
    small = shrunk(told, {"forecast"})
    assert differences(small, {"forecast"})
    assert len(small.events) <= min(3, len(told.events))


# In 1046 a hold begins at the very midnight that ends a window.
@pytest.mark.parametrize("seed", [*range(1, 201), 1046])
def test_both_say_the_same_of_a_history(seed: int) -> None:
    assert not differences(case(seed))
