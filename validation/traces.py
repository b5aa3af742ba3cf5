"""Which test shows which requirement, read from the marks in the tests' source, without running them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from validation.requirements import HERE, Requirement, protocol_rules, regulations, requirements

ROOT = HERE.parent
_SHOWS, _TOOLING = "pytest.mark.requirement", "pytest.mark.tooling"


@dataclass(frozen=True, slots=True)
class Trace:
    """One test function, and the requirements that it names; `tooling` says why it needs to name none."""

    test: str  # as pytest names it: file::function
    names: frozenset[str]
    tooling: str | None

    @property
    def file(self) -> str:
        """The file that holds the test."""
        return self.test.partition("::")[0]


@cache
def traces(folder: Path = ROOT / "tests") -> list[Trace]:
    """The trace of every test function below a folder."""
    return [trace for path in sorted(folder.rglob("test_*.py")) for trace in _of(path, folder.parent)]


def _of(path: Path, root: Path) -> Iterator[Trace]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    whole = [mark for node in tree.body if _is_pytestmark(node) for mark in _marks(node)]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            marks = whole + [mark for decorator in node.decorator_list for mark in _marks(decorator)]
            names = frozenset(word for called, words in marks if called == _SHOWS for word in words)
            reasons = [" ".join(words) for called, words in marks if called == _TOOLING]
            where = f"{path.relative_to(root).as_posix()}::{node.name}"
            yield Trace(where, names, reasons[0] if reasons else None)


def _is_pytestmark(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"


def _marks(node: ast.AST) -> Iterator[tuple[str, list[str]]]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and ast.unparse(inner.func) in (_SHOWS, _TOOLING):
            yield (
                ast.unparse(inner.func),
                [str(word.value) for word in inner.args if isinstance(word, ast.Constant)],
            )


def faults(found: list[Trace], wanted: list[Requirement]) -> list[str]:
    """What is missing between tests and requirements, each as one line that says what to add."""
    return [*_nameless(found), *_unknown(found, wanted), *_untested(found, wanted)]


def _nameless(found: list[Trace]) -> Iterator[str]:
    bare = [trace for trace in found if not trace.names and not trace.tooling]
    named_files = {trace.file for trace in found if trace not in bare}
    # A file of which no test names anything is one line, and not one for each test.
    for place in dict.fromkeys(trace.test if trace.file in named_files else trace.file for trace in bare):
        yield (
            f'{place} names no requirement: add pytestmark = pytest.mark.requirement("ID") to the file, or '
            'the mark to the test (IDs: validation/requirements/), or pytest.mark.tooling("why it has none")'
        )


def _unknown(found: list[Trace], wanted: list[Requirement]) -> Iterator[str]:
    known = {requirement.id for requirement in wanted}
    for trace in found:
        for name in sorted(trace.names - known):
            yield f"{trace.test} names {name}: add it to a file of validation/requirements/, or name another"


def _untested(found: list[Trace], wanted: list[Requirement]) -> Iterator[str]:
    shown = {name for trace in found for name in trace.names}
    for requirement in wanted:
        if requirement.id not in shown:
            yield (
                f'no test shows {requirement.id}: add @pytest.mark.requirement("{requirement.id}") to one, '
                f"or take it out of validation/requirements/{requirement.area}.yaml"
            )


def uncovered(wanted: list[Requirement]) -> list[str]:
    """Rules of the protocol file that no requirement covers, and covered ones that it does not have."""
    rules = protocol_rules()
    covered = {rule: requirement.id for requirement in wanted for rule in requirement.protocol}
    return [
        f"no requirement covers {rule} of the protocol file: "
        "add it to `protocol` of one in validation/requirements/"
        for rule in rules
        if rule not in covered
    ] + [
        f"{name} covers {rule}, which the protocol file does not have: correct it in validation/requirements/"
        for rule, name in covered.items()
        if rule not in rules
    ]


def unfounded(wanted: list[Requirement]) -> list[str]:
    """Points of regulations that name an unknown requirement, or say what no requirement shows."""
    known = {requirement.id for requirement in wanted}
    lines = []
    for regulation in regulations():
        for point in regulation.points:
            where = f"validation/regulations.yaml, {regulation.name} {point.point}"
            lines += [f"{where}: there is no {name}" for name in point.requirements if name not in known]
            if bool(point.service) != bool(point.requirements):
                lines.append(f"{where}: `service` and `requirements` stand together, or neither does")
            if not point.service and not point.site:
                lines.append(f"{where}: say what the service does, or what the site must do")
    return lines


def main() -> list[str]:
    """Every fault of the traces in this checkout."""
    wanted = requirements()
    twice = {entry.id for entry in wanted if sum(other.id == entry.id for other in wanted) > 1}
    return [
        *(f"{name} stands twice in validation/requirements/" for name in sorted(twice)),
        *faults(traces(), wanted),
        *uncovered(wanted),
        *unfounded(wanted),
    ]
