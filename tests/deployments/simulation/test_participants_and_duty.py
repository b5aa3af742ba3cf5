"""The oracle knows reminders to subjects, and who is on duty when a notice leaves."""

from datetime import date

import pytest

from deployments.simulation.engine import Study, follow
from deployments.simulation.invariants.oracle import check
from deployments.simulation.people.behaviour_file import load_behaviour
from deployments.simulation.people.on_duty import duty_of
from itp_events.duty.roster import Roster
from itp_events.events import ContactAgreed
from tests.deployments.simulation.runs import study
from tests.support.participants import reminding


def reminded(seed: int) -> Study:
    behaviour = load_behaviour("typical")
    return Study(reminding(), behaviour, seed, behaviour.start)


def found(*studies: Study) -> list[str]:
    return [str(violation) for violation in check(studies, subjects=1).violations]


@pytest.mark.requirement("SUB-01", "SIM-01")
def test_no_subject_is_reminded_in_vain_or_twice() -> None:
    assert found(*map(reminded, (2, 3))) == []
    told = [each for each in follow(reminded(3), 0).notices if each.audience == "participant" and each.sent]
    assert told


@pytest.mark.requirement("SUB-01", "SIM-01")
def test_a_reminder_in_spite_of_stop_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    always = ContactAgreed(by="crc-01", agreed=True, on=date(2026, 1, 5))
    monkeypatch.setattr("deployments.simulation.people.reminded._AGREE", 0.0)
    monkeypatch.setattr("itp_events.notices.participants.agreement", lambda _: always)
    assert [each for each in found(reminded(2)) if "does not agree" in each]


@pytest.mark.requirement("SUB-01", "SIM-01")
def test_a_reminder_to_who_cannot_come_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.simulation.people.reminded._ANSWERS", {"not-coming": 1.0})
    monkeypatch.setattr("deployments.simulation.people.answering.book_anew", lambda *_: [])
    monkeypatch.setattr("itp_events.notices.participants.declined", lambda *_: None)
    assert [each for each in found(reminded(2), reminded(3)) if "cannot come" in each]


@pytest.mark.requirement("DTY-01", "SIM-01")
def test_in_every_week_somebody_on_duty_is_told() -> None:
    looked = check([study("typical", seed) for seed in (2, 3)], subjects=1)
    assert [str(violation) for violation in looked.violations] == []
    assert len(looked.weeks) > 20


@pytest.mark.requirement("DTY-01", "SIM-01")
def test_a_roster_that_forgets_absences_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Roster, "is_away", lambda *_: False)
    assert [each for each in found(study("typical", 2), study("typical", 3)) if "statement 10" in each]


@pytest.mark.requirement("DTY-01", "SIM-01")
def test_a_simulated_site_has_weeks_in_which_nobody_is_there() -> None:
    duty = duty_of(2, date(2026, 1, 5))
    days = {day for audience, day in duty.book.planned if audience == "coordinator"}
    assert [day for day in days if not duty.book.answering("coordinator", day)]
    assert duty.book.away
