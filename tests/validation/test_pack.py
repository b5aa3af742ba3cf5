"""The pack says of each requirement what one run showed, and nothing else."""

from pathlib import Path
from typing import Any

import pytest
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

from validation import forms, tree
from validation.pack import Pack, assemble
from validation.requirements import requirements
from validation.results import ForeignResults, TestResult, read

pytestmark = pytest.mark.requirement("QLF-02")

CASE = (
    '<testcase classname="tests.rules.test_x" name="{}">'
    '<properties><property name="requirement" value="{}"/></properties>{}</testcase>'
)


def _written(path: Path, name: str, *cases: str) -> Path:
    path.write_text(f'<testsuites><testsuite name="{name}">{"".join(cases)}</testsuite></testsuites>')
    return path


def _qualified(outcome: str = "passed", **more: Any) -> dict[str, Any]:
    step = {"id": "OQ-1", "title": "It works.", "requirements": ["WIN-02"], "did": ["tried"], "error": None}
    about = {"protocol": "P", "began": "then", "ended": "later", "machine": {"name": "here"}}
    return {"passed": outcome == "passed", "steps": [step | {"outcome": outcome} | more], **about}


def _pack(results: list[TestResult], qualification: dict[str, Any] | None = None) -> Pack:
    return assemble({"Commit": "abc"}, results, qualification or _qualified())


def _result(name: str, requirement: str, **cases: int) -> TestResult:
    result = TestResult(f"tests/{name}", frozenset({requirement}))
    result.cases.update(cases)  # type: ignore[arg-type]
    return result


def test_results_are_those_of_the_file_with_the_requirements_of_each_test(tmp_path: Path) -> None:
    failure = '<failure message="assert 1 == 2&#10;more"/>'
    file = _written(
        tmp_path / "r.xml",
        "abc",
        CASE.format("test_one[a::b]", "WIN-02", ""),
        CASE.format("test_one[c]", "WIN-02", failure),
        CASE.format("test_two", "WIN-03", '<skipped message="no browser"/>'),
    )
    one, two = read(file, "abc")
    assert (one.name, set(one.requirements)) == ("tests/rules/test_x.py::test_one", {"WIN-02"})
    assert (one.outcome, dict(one.cases), one.reasons) == (
        "failed",
        {"passed": 1, "failed": 1},
        {"assert 1 == 2"},
    )
    assert (two.outcome, two.reasons) == ("skipped", {"no browser"})


def test_results_of_another_source_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ForeignResults, match="was made from another source"):
        read(_written(tmp_path / "r.xml", "another"), "abc")
    with pytest.raises(ForeignResults, match="no results of tests"):
        read(tmp_path / "none.xml", "abc")
    (tmp_path / "cut.xml").write_text("<testsuites><testsuite")
    with pytest.raises(ForeignResults, match="no results of tests"):
        read(tmp_path / "cut.xml", "abc")


@pytest.mark.parametrize(
    ("cases", "step", "verdict"),
    [
        ({"passed": 2}, "passed", "shown"),
        ({"passed": 2, "failed": 1}, "passed", "failed"),
        ({"skipped": 1}, "passed", "not run"),
        ({"passed": 1}, "failed", "failed"),
    ],
)
def test_a_requirement_is_shown_when_a_test_of_it_passed_and_nothing_failed(
    cases: dict[str, int], step: str, verdict: str
) -> None:
    pack = _pack([_result("test_x.py::test_it", "WIN-02", **cases)], _qualified(step))
    assert pack.verdict_of("WIN-02") == verdict


def test_what_was_not_run_is_never_called_shown() -> None:
    pack = _pack([])
    assert {each.verdict for each in pack.shown} == {"not run"}
    assert not pack.passed


def test_the_pack_passes_when_every_requirement_is_shown_and_the_qualification_passed() -> None:
    results = [_result(f"test_x.py::test_{each.id}", each.id, passed=1) for each in requirements()]
    assert _pack(results).passed
    assert not _pack(results, _qualified("not run")).passed
    assert not _pack([*results, _result("test_y.py::test_z", "WIN-02", failed=1)]).passed


def test_both_forms_name_every_requirement_and_every_failure(tmp_path: Path) -> None:
    pack = _pack(
        [
            _result("test_x.py::test_it", "WIN-02", failed=1),
            _result("test_x.py::test_no", "WIN-03", skipped=1),
        ]
    )
    whole = forms.page(pack)
    assert all(f'id="{each.id}"' in whole for each in requirements())
    assert "NOT PASSED" in whole
    assert "tests/test_x.py::test_no" in whole
    assert "://" not in whole.replace("http://www.w3.org", "")
    forms.write_pdf(pack, tmp_path / "pack.pdf")
    assert (tmp_path / "pack.pdf").read_bytes().startswith(b"%PDF-")


def test_the_fonts_of_the_pdf_have_every_letter_of_the_pack() -> None:
    letters = set(TTFont(forms._FONTS / "DejaVuSans.ttf").getBestCmap())
    pack = _pack([])
    words = [each.requirement.model_dump_json() for each in pack.shown]
    words += [regulation.model_dump_json() for regulation in pack.regulations]
    assert {letter for text in words for letter in text if ord(letter) not in letters} == set()


def test_the_fingerprint_changes_with_any_file(tmp_path: Path) -> None:
    import subprocess

    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "a.py").write_text("one")
    before = tree.fingerprint(tmp_path)
    (tmp_path / "a.py").write_text("two")
    changed = tree.fingerprint(tmp_path)
    (tmp_path / "b.py").write_text("")
    assert len({before, changed, tree.fingerprint(tmp_path)}) == 3
