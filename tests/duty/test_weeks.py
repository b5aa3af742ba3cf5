"""A few simulated weeks of rotas, with absences, holidays and providers that fail."""

from pathlib import Path

import pytest

from itp_events.duty.roster import Roster
from tests.duty.weeks import run, template

pytestmark = pytest.mark.requirement("DTY-01", "DTY-02")


def test_nobody_away_is_told_nobody_twice_and_every_notice_reaches_somebody(tmp_path: Path) -> None:
    figures = run(20, 1, tmp_path, template(tmp_path))
    assert figures.problems == []
    assert figures.counts["sends to people"] > 50
    assert figures.counts["notices to the next rung"] > 0


def test_the_simulation_finds_a_roster_that_forgets_absences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Roster, "is_away", lambda *_: False)
    assert [each for each in run(20, 1, tmp_path, template(tmp_path)).problems if "who was away" in each]
