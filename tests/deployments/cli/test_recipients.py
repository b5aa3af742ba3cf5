"""`itp recipients` says whose recipients the study's notices go to, and lets a person set others."""

from pathlib import Path

import pytest

from deployments.cli.errors import FAILED
from tests.deployments.cli.conftest import Itp

pytestmark = pytest.mark.requirement("DLV-05")


@pytest.fixture
def config(tmp_path: Path) -> str:
    """An Apprise configuration of one recipient."""
    file = tmp_path / "apprise.txt"
    file.write_text("coordinator=json://127.0.0.1:9/x\n")
    return str(file)


def test_before_the_first_service_nothing_stands(itp: Itp) -> None:
    said = itp("recipients")
    assert (said.code, said.out) == (0, "No service has run yet: the first itp up sets its recipients.\n")
    assert itp("recipients", "--json").json["recipients"] is None


def test_what_is_taken_stands(itp: Itp, config: str, tmp_path: Path) -> None:
    said = itp("recipients", "--take", ITP_APPRISE_CONFIG=config)
    assert said.code == 0, said.err
    assert said.out.startswith("Notices go to 1 recipient, set at ")
    assert str(tmp_path / "data") in said.out
    assert itp("recipients", "--json", ITP_APPRISE_CONFIG=config).json["same_here"] is True


def test_who_has_other_recipients_is_told_so(itp: Itp, config: str) -> None:
    itp("recipients", "--take", ITP_APPRISE_CONFIG=config)
    said = itp("recipients")
    assert said.code == FAILED
    assert said.out.startswith("nothing is handed over from here: the study's notices go to 1 recipient, ")
    assert itp("recipients", "--json").json["same_here"] is False


def test_a_person_may_let_nobody_stand(itp: Itp, config: str) -> None:
    itp("recipients", "--take", ITP_APPRISE_CONFIG=config)
    assert itp("recipients", "--take").out.startswith("Notices go to the service's own console, set at ")


def test_what_is_recorded_with_other_recipients_is_left_to_the_service(
    itp: Itp, config: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    itp("recipients", "--take", ITP_APPRISE_CONFIG=config)
    other = tmp_path / "other.txt"
    other.write_text("coordinator=json://127.0.0.1:9/y\n")
    example = Path(__file__).parents[3] / "examples" / "enrol.json"
    said = itp("record", example, ITP_APPRISE_CONFIG=str(other))
    assert said.code == 0, said.err
    assert "nothing is handed over from here" in caplog.text
