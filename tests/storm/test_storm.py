"""A small storm over the real service: what was acknowledged and decided survives, once, and in time."""

from datetime import timedelta
from pathlib import Path

import pytest

from storm.run import rage
from storm.stage import stage

pytestmark = pytest.mark.requirement("LOG-02")

SEED = 20260105
SECONDS = 25.0
# A machine that tests share is slow, not wrong.
IN_TIME = timedelta(seconds=40)


@pytest.mark.parametrize("kind", ["sqlite", "pg"])
def test_a_storm_loses_doubles_misdirects_and_delays_nothing(kind: str, tmp_path: Path) -> None:
    said: list[str] = []
    with stage(tmp_path, kind) as found:
        verdict = rage(found, SEED, SECONDS, said.append, late=IN_TIME)
    assert verdict.faults == {}, (said, verdict.figures, tmp_path)
    assert said, "nothing was broken"
    assert verdict.figures["refused"] == 0, found.ledger.refused
    assert verdict.figures["acknowledged"], verdict.figures
    assert verdict.figures["arrived"], verdict.figures
