"""The oracle sees nothing wrong over a few seeds, and does see what is wrong when something is."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from deployments.simulation import oracle as oracle_module
from deployments.simulation.behaviour import NAMES
from deployments.simulation.engine import follow
from deployments.simulation.oracle import Checked, Oracle, check, minimal
from itp_events.decisions import Decision
from itp_events.decisions import decide as real_decide
from itp_events.protocol import Protocol
from itp_events.subject import Subject
from tests.deployments.simulation.runs import study


@pytest.mark.parametrize("scenario", NAMES)
def test_what_must_always_hold_does(scenario: str) -> None:
    found = check([study(scenario, seed) for seed in (11, 12)], subjects=2)
    assert [str(violation) for violation in found.violations] == []
    assert found.checks > found.steps > 100


@dataclass
class Broken:
    """decide() with one fault."""

    fault: str

    def __call__(self, protocol: Protocol, subject: Subject, now: datetime) -> Decision:
        decision = real_decide(protocol, subject, now)
        if self.fault == "no wake" and decision.wake_at:
            return replace(decision, wake_at=decision.wake_at + timedelta(minutes=now.minute + 1))
        if self.fault == "forgets what it issued":
            fresh = replace(subject, ledger=type(subject.ledger)(pinned=subject.ledger.pinned))
            return real_decide(protocol, fresh, now)
        return decision


@pytest.mark.parametrize("fault", ["no wake", "forgets what it issued"])
def test_a_fault_in_a_later_decision_is_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle_module, "decide", Broken(fault))
    found = check([study("typical", 11)], subjects=1)
    assert {violation.statement for violation in found.violations} & {1, 5}


def test_a_notice_that_nothing_asks_for_is_seen_and_shown_with_its_log() -> None:
    found = Checked()
    oracle = Oracle(study(), 1, found)

    def hand_over(notice: Any, decision: Decision) -> None:
        Oracle.hand_over(oracle, notice, replace(decision, duties=()))

    oracle.hand_over = hand_over  # type: ignore[method-assign]
    follow(study(), 1, oracle)
    assert {violation.statement for violation in found.violations} == {3}
    assert '"itp.subject.enrolled"' in minimal(found.violations[0])
    assert "SIM-0002" in str(found.violations[0])
