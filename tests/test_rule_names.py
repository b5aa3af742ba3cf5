"""The names of rules are a public contract: the list of them and the source agree."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from itp_events.errors import RuleName

pytestmark = pytest.mark.requirement("INT-02")

ROOT = Path(__file__).parent.parent
PACKAGES = ("itp_events", "tasks", "flows", "deployments")
# The calls that name a rule, and which of their arguments does.
NAMING = {"Refused": 0, "Forbidden": 0, "Problem": 1, "document": 1, "_refuse": 1, "refuse": 2}


def named(source: str) -> Iterator[str]:
    """The rule names that a source file writes: in the calls that name one, and in annotated constants."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = str(getattr(node.func, "id", "") or getattr(node.func, "attr", ""))
            place = NAMING.get(called)
            given = node.args[place : place + 1] if place is not None else []
        else:
            annotated = isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "RuleName"
            given = [node.value] if annotated and isinstance(node, ast.AnnAssign) and node.value else []
        yield from (each.value for each in given if isinstance(each, ast.Constant))  # type: ignore[misc]


def test_every_rule_that_the_source_names_is_in_the_list_and_the_other_way_round() -> None:
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    found = {name for file in files for name in named(file.read_text(encoding="utf-8"))}
    # The only refusal whose class fixes its rule.
    assert found | {"eligibility"} == set(get_args(RuleName))
