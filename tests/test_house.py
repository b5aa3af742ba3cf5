"""What is built from this checkout is whole, and can be built anywhere."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.requirement("SEC-05")

ROOT = Path(__file__).parent.parent
PACKAGES = ("itp_events", "tasks", "flows", "deployments")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# What the service runs on, what its tests and its documentation need besides, what installs and builds, and
# what lists its parts.
RUN, TESTS, DOCS, BUILD, SBOM = (
    (ROOT / f"requirements{which}.lock").read_text() for which in ("", "-dev", "-docs", "-build", "-sbom")
)


def _declared(wanted: list[str]) -> list[str]:
    return [re.split(r"[\[<>=]", requirement)[0].lower() for requirement in wanted]


def _locked(lock: str) -> dict[str, set[str]]:
    """The versions of each package in a lock; several where they differ by Python version."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==([^\s;]+)", lock, re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


NEEDED = _declared(PROJECT["project"]["dependencies"])
FOR_TESTS = _declared(PROJECT["project"]["optional-dependencies"]["dev"])
FOR_DOCS = _declared(PROJECT["project"]["optional-dependencies"]["docs"])
FOR_BUILDS = _declared(PROJECT["dependency-groups"]["build"])
FOR_SBOM = _declared(PROJECT["dependency-groups"]["sbom"])


@pytest.mark.parametrize("lock", [RUN, TESTS, DOCS, BUILD, SBOM])
def test_a_lock_names_no_address(lock: str) -> None:
    assert "://" not in lock
    assert "index-url" not in lock
    assert "find-links" not in lock


@pytest.mark.parametrize(
    ("name", "lock"),
    [(name, RUN) for name in NEEDED]
    + [(name, TESTS) for name in (*NEEDED, *FOR_TESTS)]
    + [(name, DOCS) for name in FOR_DOCS]
    + [(name, BUILD) for name in FOR_BUILDS]
    + [(name, SBOM) for name in FOR_SBOM],
)
def test_every_declared_requirement_is_locked_with_a_hash(name: str, lock: str) -> None:
    entry = re.search(
        rf"^{re.escape(name)}(\[[a-z]+\])?==\S+( ; [^\\]*)? ?\\\n    --hash=sha256:", lock, re.MULTILINE
    )
    assert entry, f"{name} is not locked: run make lock"


def test_the_service_is_locked_without_the_tools_of_its_tests_and_documentation() -> None:
    assert _locked(RUN).keys() & {*FOR_TESTS, *FOR_DOCS} == set()


def test_tests_documentation_and_builds_use_the_versions_that_the_service_runs_on() -> None:
    for other in (TESTS, DOCS, BUILD, SBOM):
        both = _locked(RUN).keys() & _locked(other).keys()
        assert {name: _locked(other)[name] for name in both} == {name: _locked(RUN)[name] for name in both}


def test_no_process_of_the_tests_builds_a_grammar_when_it_imports_prefect() -> None:
    """Prefect imports jsonschema, which imports this package where it finds it: a second in every process."""
    assert "rfc3987-syntax" not in _locked(TESTS).keys() | _locked(RUN).keys()


def test_what_builds_is_exactly_what_is_locked() -> None:
    [backend] = PROJECT["build-system"]["requires"]
    name, _, version = backend.partition("==")
    assert _locked(BUILD)[name] == {version}


def test_the_wheel_holds_every_file_of_the_packages(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    there = set(zipfile.ZipFile(wheel).namelist())
    wanted = {path.relative_to(ROOT).as_posix() for package in PACKAGES for path in _files(ROOT / package)}
    assert wanted - there == set()
    assert any(name.endswith(".yaml") for name in wanted)


def _files(package: Path) -> list[Path]:
    return [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


READ = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("text", READ, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_text_names_in_the_repository_is_there(text: Path) -> None:
    words = text.read_text(encoding="utf-8")
    named = re.findall(rf"`((?:{'|'.join((*PACKAGES, 'tests', 'docs', 'examples'))})/[\w./-]+)`", words)
    linked = re.findall(r"\]\(([^)#:]+)[)#]", words)
    missing = [path for path in named if not (ROOT / path).exists()]
    missing += [path for path in linked if not (text.parent / path).exists()]
    assert missing == []


def _first_lines(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            line = (ast.get_docstring(node) or "").partition("\n")[0]
            yield f"{path.relative_to(ROOT)}: {line}", line


def test_no_docstring_begins_with_a_clause_in_place_of_its_subject() -> None:
    """A newcomer reads the first line once: it names the thing, or says what is done with it."""
    clause = re.compile(r"(What|Who|Whoever|Whatever|Whose|Whom|Since when|How|Which|When|Where|Why)\b")
    places = [
        place
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for place, line in _first_lines(path)
        if clause.match(line)
    ]
    assert places == []


def _bodies(path: Path) -> Iterator[str]:
    """The body of each function of a module, without its docstring; trivial ones are left out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            written = "\n".join(ast.unparse(each) for each in body)
            if len(written) > 40:
                yield written


def test_no_two_modules_hold_the_same_function() -> None:
    places: dict[str, set[str]] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for body in _bodies(path):
                places.setdefault(body, set()).add(str(path.relative_to(ROOT)))
    assert [sorted(where) for where in places.values() if len(where) > 1] == []
