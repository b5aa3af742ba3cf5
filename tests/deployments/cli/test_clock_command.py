from datetime import datetime, timedelta
from pathlib import Path

import pytest

from deployments.bootstrap.watched_clock import WatchedClock
from tests.deployments.cli.conftest import Itp

pytestmark = pytest.mark.requirement("RUN-05")


def test_the_clocks_of_a_study_agree(itp: Itp) -> None:
    said = itp("clock")
    assert (said.code, said.err) == (0, "")
    assert "The clocks agree." in said.out


def test_a_clock_that_jumped_is_said_and_a_person_says_that_it_is_right(
    itp: Itp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert itp("clock", "--accept").code == 0
    shown = WatchedClock.shown

    def ahead(clock: WatchedClock) -> datetime:
        return shown(clock) + timedelta(days=7)

    monkeypatch.setattr(WatchedClock, "shown", ahead)
    assert "itp clock --accept" in itp("clock").out
    accepted = itp("clock", "--accept").out
    assert "0 subjects decided about anew" in accepted
    assert "The clocks agree." in accepted
    assert "The clocks agree." in itp("clock").out
