"""The qualification uses the installed service, and reports what really ran."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from deployments.bootstrap.clock import open_clock
from deployments.cli import cli
from deployments.qualification.document import Run, document, page
from deployments.qualification.inbox import Inbox
from deployments.qualification.installation import Failed, Installation
from deployments.qualification.qualify import BEGINS, STEPS, qualify
from deployments.qualification.steps import Result, Scene, Step, run
from itp_events.errors import BadInput
from tests.support.databases import migrated_sqlite
from tests.tasks.desk import ENROLLED_AT, Desk, ReportedLate
from validation.requirements import requirements

pytestmark = pytest.mark.requirement("QLF-01")

STEP = {step.id: step for step in STEPS}


def _passes(scene: Scene) -> None:
    scene.expect(True, "one is one")


def _fails(scene: Scene) -> None:
    scene.note("looked")
    scene.expect(1 > 2, "one is more than two", 1)


def _breaks(scene: Scene) -> None:
    next(iter(()))


@pytest.fixture
def site(tmp_path: Path) -> Installation:
    """An installation that is not started."""
    return Installation(tmp_path, Inbox(), BEGINS)


def _step(name: str, act: object, *, vital: bool = False) -> Step:
    return Step(name, "A step.", ("QLF-01",), act, vital)  # type: ignore[arg-type]


def test_a_step_says_what_it_did_and_what_was_not_so(site: Installation) -> None:
    good, bad, broken = run([_step("A", _passes), _step("B", _fails), _step("C", _breaks)], site)
    assert (good.outcome, good.did, good.error) == ("passed", ("one is one",), None)
    assert (bad.outcome, bad.did, bad.error) == (
        "failed",
        ("looked",),
        "not so: one is more than two; found: 1",
    )
    assert (broken.outcome, broken.error) == ("failed", "StopIteration: ")


def test_after_a_vital_step_that_failed_nothing_else_ran(site: Installation) -> None:
    results = list(run([_step("A", _fails, vital=True), _step("B", _passes)], site))
    assert [(each.outcome, each.error) for each in results][1] == ("not run", "A failed")


def test_waiting_in_vain_is_a_failure(site: Installation) -> None:
    with pytest.raises(Failed, match="waited 0 s in vain for a wonder"):
        site.until(lambda: False, "a wonder", 0.0)


def test_quiet_waits_for_what_is_due_to_be_told_about_a_subject_too(
    site: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = Installation.until
    monkeypatch.setattr(Installation, "until", lambda site, look, what: patient(site, look, what, 0.0))
    desk = Desk.open(migrated_sqlite(site.database))
    site.data_dir.mkdir()
    open_clock(site.data_dir, "study.db", 1.0, ENROLLED_AT, study_is_empty=True)
    site.quiet()
    study = ReportedLate()
    desk.take(study.enrol())
    with pytest.raises(Failed, match="in vain for every notice that is due"):
        site.quiet()
    desk.hand_over(ENROLLED_AT)
    site.quiet()
    site.close()
    desk.store.close()


def test_every_step_names_a_requirement_that_there_is_and_has_a_number_of_its_own() -> None:
    known = {requirement.id for requirement in requirements()}
    assert [name for step in STEPS for name in step.requirements if name not in known] == []
    assert len(STEP) == len(STEPS)
    assert all(step.requirements for step in STEPS)


def test_the_installed_service_is_started_used_and_stopped(first_service: object, tmp_path: Path) -> None:
    """`first_service` lets this test begin early, beside the others that start a service."""
    told: list[Result] = []
    chosen = [STEP[name] for name in ("IQ-3", "IQ-4", "OQ-1", "OQ-5")]
    result = qualify(tmp_path / "own", None, told.append, chosen)
    assert [(each.outcome, each.error) for each in told] == [("passed", None)] * 4
    assert result.passed
    shown = document(result)
    assert shown["passed"] is True
    assert "both were told within" in str(shown["steps"][3]["did"])
    whole = page(result)
    assert "Qualification: passed" in whole
    assert all(step.title.replace("'", "&#39;") in whole for step in chosen)


def test_a_report_of_a_failure_does_not_look_like_a_pass(site: Installation) -> None:
    results = tuple(run([_step("OQ-1", _fails, vital=True), _step("OQ-2", _passes)], site))
    shown = page(Run(results, "P version 1", BEGINS, BEGINS))
    assert "NOT PASSED" in shown
    assert "not so: one is more than two" in shown
    assert ">not run" in shown


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text("a study")
    with pytest.raises(BadInput, match="is not empty; name an empty or a new folder"):
        qualify(tmp_path, None, lambda _: None)
    ended = CliRunner().invoke(cli, ["qualify", "--dir", str(tmp_path)])
    assert ended.exit_code == 2


def test_a_report_in_a_folder_that_is_not_there_is_refused_before_anything_runs(tmp_path: Path) -> None:
    ended = CliRunner().invoke(cli, ["qualify", "--report", str(tmp_path / "none" / "q.html")])
    assert ended.exit_code == 2
    assert "there is no folder" in ended.output
