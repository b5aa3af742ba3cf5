"""`itp doctor` looks at the time-stamps of seals: the authority, its certificates, the newest stamp's age."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from deployments.bootstrap.clock import Clock
from tasks.integrity.keeping import keep
from tasks.integrity.sealing import seal
from tasks.integrity.stamps import Authority, stamp_newest, trusted_roots
from tests.deployments.cli.conftest import Itp
from tests.support.stamping import StampingAuthority, stamping_authority
from tests.support.study import Study
from tests.tasks.desk import Desk

pytestmark = [
    pytest.mark.requirement("RUN-07", "LOG-01"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the stamps of these tests"),
]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StampingAuthority]:
    """An authority on this machine."""
    with stamping_authority(tmp_path_factory.mktemp("authority")) as authority:
        yield authority


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """The study of the command line, with one subject."""
    (tmp_path / "data").mkdir()
    desk = Desk.open(f"sqlite:///{tmp_path / 'data' / 'study.db'}")
    desk.take(Study().enrol())
    yield desk
    desk.store.close()


def findings(itp: Itp, **settings: str) -> list[dict[str, Any]]:
    said = itp("doctor", "--json", **settings).json
    return [each for each in said["findings"] if each["name"] == "time-stamps"]


def test_without_an_authority_nothing_is_said_and_without_certificates_what_is_missing(
    itp: Itp, desk: Desk, here: StampingAuthority
) -> None:
    assert findings(itp) == []
    [found] = findings(itp, ITP_STAMP_URL=here.url)
    assert found["level"] == "fail"
    assert "ITP_STAMP_ROOTS" in found["mend"]


def test_the_authority_is_tried_and_the_newest_stamp_has_its_age(
    itp: Itp, desk: Desk, here: StampingAuthority
) -> None:
    named = {"ITP_STAMP_URL": here.url, "ITP_STAMP_ROOTS": str(here.roots)}
    assert _said(findings(itp, **named)) == [("ok", "gives stamps"), ("ok", "no seal yet")]
    before = Clock().now() - timedelta(days=3)
    keep(desk.store, before)
    seal(desk.store, before)
    assert _said(findings(itp, **named)) == [("ok", "gives stamps"), ("warn", "no seal has a stamp")]
    stamp_newest(desk.store, Authority(here.url, trusted_roots(here.roots)), before)
    assert _said(findings(itp, **named)) == [("ok", "gives stamps"), ("ok", "was stamped 0 minutes ago")]
    desk.take(Study(code="ITP-002").enrol(event_id="second"))
    keep(desk.store, before)
    seal(desk.store, Clock().now())
    assert _said(findings(itp, **named)) == [("ok", "gives stamps"), ("ok", "the last was given 0 minutes")]


def test_an_authority_that_is_silent_or_of_other_certificates_is_a_warning(
    itp: Itp, desk: Desk, here: StampingAuthority, tmp_path: Path
) -> None:
    nobody = {"ITP_STAMP_URL": "http://127.0.0.1:9/", "ITP_STAMP_ROOTS": str(here.roots)}
    assert _said(findings(itp, **nobody))[0] == ("warn", "does not answer")
    with stamping_authority(tmp_path / "other") as other:
        named = {"ITP_STAMP_URL": other.url, "ITP_STAMP_ROOTS": str(here.roots)}
        assert _said(findings(itp, **named))[0] == ("warn", "do not vouch")


_WORDS = (
    "gives stamps",
    "no seal yet",
    "no seal has a stamp",
    "was stamped 0 minutes ago",
    "the last was given 0 minutes",
    "does not answer",
    "do not vouch",
)


def _said(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The level of each finding, with the words by which it is known."""
    return [(each["level"], next(word for word in _WORDS if word in each["said"])) for each in found]
