"""decide() and the decision log: notices are issued, superseded, withdrawn, reopened, closed, issued anew."""

import pytest

from itp_events.decisions import decide
from itp_events.events import Flagged, NoticeIssued, NoticeSuperseded, parse_event
from itp_events.rules.subject import fold
from tests.itp_events.journey import Journey

pytestmark = pytest.mark.requirement("LOG-03")

# INF3 of `waiting()`: 28 Jan 2026 (25 to 31 Jan); T-7d leaves on the 21st, T-3d to the cell-lab on the 23rd.


def waiting(*, handed: bool) -> Journey:
    """INF2 done on 14 Jan 2026; it is noon on the 21st, and T-7d of INF3 was issued at nine."""
    study = Journey()
    study.hands_over = handed
    study.treated("2026-01-05", "2026-01-14")
    study.until("2026-01-21 12:00")
    return study


def book(study: Journey) -> str:
    """The key of INF3's T-7d reminder."""
    return study.key("T-7d", "coordinator", "INF3")


# Again and again


def test_deciding_again_at_the_same_instant_gives_no_event() -> None:
    study = waiting(handed=False)
    study.medication("rescue", "2026-01-21", at="2026-01-21 13:00")
    assert study.decide("2026-01-21 13:00").events == ()


def test_deciding_is_the_same_whoever_decides() -> None:
    """Nothing but the log, the hand-overs and the instant goes in."""
    study = Journey().treated("2026-01-05", "2026-01-14")
    at = study.instant("2026-02-03 09:00")
    one, other = (decide(study.folded(), at) for _ in range(2))
    assert one.events == other.events
    assert (one.wake_at, one.state, one.tags) == (other.wake_at, other.state, other.tags)


def test_a_log_read_back_from_json_gives_the_same_decision() -> None:
    study = waiting(handed=True)
    study.medication("rescue", "2026-01-21", at="2026-01-21 13:00")
    study.decided("stop-treatment", "2026-01-22")
    read = [parse_event(event.to_json()) for event in study.log]
    assert read == study.log
    again = decide(fold(study.protocol, read, study.handed), study.instant("2026-01-22 11:00"))
    assert again.events == ()


def test_every_event_of_the_service_has_an_id_of_its_own() -> None:
    study = waiting(handed=False)
    for on in ("2026-01-22", "2026-01-24", "2026-01-26"):
        fact = study.medication("rescue", on)
        study.voided(fact, at=f"{on} 18:00")
    study.until("2026-03-01")
    ids = [event.id for event in study.log if event.own]
    assert len(ids) == len(set(ids))


def test_waking_late_records_the_same_as_waking_in_time() -> None:
    """Misses and flags do not depend on when the service was awake."""
    timely, late = (Journey().treated("2026-01-05") for _ in range(2))
    late.awake = False
    for study in (timely, late):
        study.until("2026-03-01")
    kinds = ("itp.visit.missed", "itp.withdrawal.flagged")
    recorded = [
        [(event.id, event.data) for event in study.log if event.own and event.type in kinds]
        for study in (timely, late)
    ]
    assert sorted(recorded[0], key=str) == sorted(recorded[1], key=str)


def test_the_next_wake_is_the_next_instant_at_which_anything_could_change() -> None:
    study = waiting(handed=True)
    assert study.wake is not None
    assert study.local(study.wake) == "2026-01-23 09:00"


# The fate of a notice


@pytest.mark.requirement("COR-03")
def test_an_unsent_notice_that_no_longer_holds_is_withdrawn_with_its_reason() -> None:
    study = waiting(handed=False)
    study.done("INF3", "2026-01-21", at="2026-01-21 13:00")
    assert study.fate(book(study)) == ["issued", "withdrawn"]


@pytest.mark.requirement("COR-03")
def test_a_withdrawn_notice_that_is_due_again_is_reopened() -> None:
    study = waiting(handed=False)
    fact = study.medication("rescue", "2026-01-21", at="2026-01-21 13:00")
    study.voided(fact, at="2026-01-21 14:00")
    assert study.fate(book(study)) == ["issued", "withdrawn", "reopened"]


def test_a_reopened_notice_may_be_withdrawn_and_reopened_again() -> None:
    study = waiting(handed=False)
    for hour in (13, 15):
        fact = study.medication("rescue", "2026-01-21", at=f"2026-01-21 {hour}:00")
        study.voided(fact, at=f"2026-01-21 {hour}:30")
    assert study.fate(book(study)) == ["issued", "withdrawn", "reopened", "withdrawn", "reopened"]


@pytest.mark.requirement("COR-03")
def test_a_sent_notice_that_no_longer_holds_is_closed() -> None:
    study = waiting(handed=True)
    study.medication("rescue", "2026-01-21", at="2026-01-21 13:00")
    assert study.fate(book(study)) == ["issued", "closed"]


@pytest.mark.requirement("COR-03")
def test_a_sent_and_contradicted_notice_that_is_due_again_is_issued_anew_as_its_second() -> None:
    study = waiting(handed=True)
    first = book(study)
    fact = study.medication("rescue", "2026-01-21", at="2026-01-21 13:00")
    study.voided(fact, at="2026-01-21 14:00")
    assert book(study) == f"{first}#2"
    fact = study.medication("rescue", "2026-01-21", at="2026-01-21 15:00")
    study.voided(fact, at="2026-01-21 16:00")
    assert book(study) == f"{first}#3"


@pytest.mark.requirement("COR-03")
def test_a_sent_reminder_that_a_newer_one_follows_needs_no_closing() -> None:
    study = waiting(handed=True)
    key = book(study)
    study.until("2026-01-28")
    assert study.fate(key) == ["issued"]


def test_a_reminder_that_never_was_of_use_is_recorded_as_superseded_once() -> None:
    study = waiting(handed=True)
    study.awake = False
    study.until("2026-01-28 12:00")
    study.until("2026-01-28 13:00")
    superseded: list[NoticeSuperseded] = study.own(NoticeSuperseded)
    keys = sorted(data.notice for data in superseded if "/INF3/" in data.notice)
    assert keys == ["ITP-001/INF3/T-1d/coordinator/2026-01-28", "ITP-001/INF3/T-3d/cell-lab/2026-01-28"]


def test_a_notice_key_tells_apart_subject_visit_step_audience_and_t() -> None:
    study = waiting(handed=True)
    assert book(study) == "ITP-001/INF3/T-7d/coordinator/2026-01-28"


@pytest.mark.requirement("DLV-01")
def test_no_key_is_issued_twice() -> None:
    study = waiting(handed=True)
    for on in ("2026-01-23", "2026-01-25", "2026-01-27"):
        study.medication("rescue", on)
        study.decided("continue", on, at=f"{on} 18:00")
    study.until("2026-03-20")
    issued: list[NoticeIssued] = study.own(NoticeIssued)
    assert len({notice.notice for notice in issued}) == len(issued)


def test_ids_that_resemble_keys_are_told_apart() -> None:
    """Two facts whose source and id only differ in where the separator stands are two facts."""
    study = waiting(handed=True)
    for hour, source, identity in ((13, "a:b", "c"), (15, "a", "b:c")):
        at = f"2026-01-21 {hour}:00"
        given = {"drug": "x", "kind": "rescue", "detail": "once"}
        fact = study.event(
            "itp.medication.changed", "2026-01-21", at, event_id=identity, source=source, **given
        )
        study.record(fact)
        study.voided(fact, at=f"2026-01-21 {hour + 1}:00")
    flagged: list[Flagged] = study.own(Flagged)
    ids = [event.id for event in study.log if isinstance(event.data, Flagged)]
    assert len(flagged) == 2
    assert "#" not in "".join(ids)


# What is shown


def test_the_state_names_the_phase() -> None:
    study = Journey()
    study.enrol("2026-01-05", at="2026-01-05 08:00")
    states = [study.until(at).state for at in ("2026-01-06", "2026-01-13")]
    study.done("INF1", "2026-01-08", at="2026-01-13 10:00")
    states += [study.until(at).state for at in ("2026-01-13 11:00", "2026-01-14", "2026-01-17")]
    assert states == ["INF1 window open", "INF1 overdue", "Awaiting INF2", "INF2 window open", "INF2 overdue"]


def test_tags_name_site_epoch_phase_and_needs_for_attention() -> None:
    study = Journey().treated("2026-01-05", "2026-01-14")
    assert set(study.until("2026-01-20").tags) == {"site:01", "epoch:treatment", "phase:on-treatment"}
    assert {"overdue", "escalated"} <= set(study.until("2026-02-02 09:00").tags)
    study.medication("rescue", "2026-02-02", at="2026-02-02 10:00")
    assert study.last is not None
    assert "on-hold" in study.last.tags


def test_a_notice_that_has_not_left_says_the_truth_of_the_moment_it_leaves() -> None:
    """Booked for its target, a visit keeps its T and its reminders, which no longer say `not booked yet`."""
    study = Journey()
    study.hands_over = False
    study.in_follow_up()
    study.until("2026-03-06 10:00")
    first = study.key("T-3d", "coordinator", "FU-D14")
    study.booked("FU-D14", "2026-03-09", at="2026-03-06 11:00")
    (_, before), (_, after) = study.notices("T-3d", "FU-D14")
    assert (before.facts["booked"], after.facts["booked"]) == (False, True)
    assert (after.notice, study.fate(first)) == (f"{first}#2", ["issued", "withdrawn"])
