import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from flows.study.roles import Speaker
from itp_events.errors import Forbidden, NotEligible, Refused
from itp_events.events import Event, NoticeIssued, parse_event
from tasks.advance import Answer, record
from tasks.database import outbox, queries, repairs
from tasks.database.compiled import Question, Row, ask_in_turn
from tasks.delivery import told_now
from tasks.keeping import Settled
from tests.support import wait_until
from tests.support.study import Study
from tests.tasks.desk import ENROLLED_AT, Desk, later

pytestmark = pytest.mark.requirement("LOG-07")


def at_once(steps: list[Callable[[], list[Answer]]]) -> list[Answer]:
    """Take every step at the same moment, each in a thread of its own."""
    start = threading.Barrier(len(steps))

    def step(run: Callable[[], list[Answer]]) -> list[Answer]:
        start.wait()
        return run()

    with ThreadPoolExecutor(len(steps)) as pool:
        return [answer for answers in pool.map(step, steps) for answer in answers]


def test_whoever_decides_about_a_subject_waits_for_whoever_is_deciding(
    postgresql_url: str, study: Study
) -> None:
    desk = Desk.open(postgresql_url)
    desk.take(study.enrol())
    steps = [
        lambda: desk.take(study.done("INF1", "2026-01-05")),
        lambda: desk.wake("ITP-001", ENROLLED_AT),
        lambda: desk.hand_over(ENROLLED_AT),
    ]
    with ThreadPoolExecutor(len(steps)) as pool:
        with desk.store.writing() as holder:
            queries.subject_in(holder, "ITP-001", lock=True)
            running = [pool.submit(step) for step in steps]
            wait_until(lambda: waiting_for_a_lock(desk) == len(steps), "all three to wait for the row")
            assert not any(each.done() for each in running)
        assert all(each.result() for each in running[:2])
    desk.store.close()


def waiting_for_a_lock(desk: Desk) -> int:
    locked = "datname = current_database() AND wait_event_type = 'Lock'"
    waiting = sa.text(f"SELECT count(*) FROM pg_stat_activity WHERE {locked}")
    with desk.store.reading() as connection:
        return int(connection.scalar(waiting) or 0)


@pytest.mark.requirement("SEC-01")
def test_a_decision_that_arrives_meanwhile_is_not_taken_back_by_a_recorder(
    postgresql_url: str, study: Study
) -> None:
    desk = Desk.open(postgresql_url)
    desk.take(study.enrol())
    decision = study.event(
        "itp.withdrawal.decided", "2026-01-05", None, decision="withdraw", reason="asked for by the subject"
    )
    void = study.void(decision, "2026-01-05")
    with ThreadPoolExecutor(1) as pool:
        recorder: list[Future[list[Answer]]] = []

        class BeforeTheCommit:
            def anew(self) -> Question:
                return told_now.ASKED

            def say(self, _: sa.Connection, __: Sequence[Row], ___: Settled) -> Mapping[str, outbox.Text]:
                take = partial(record, desk.store, desk.protocol, [void], void.time, sender=Speaker())
                recorder.append(pool.submit(take))
                wait_until(lambda: waiting_for_a_lock(desk) == 1, "the recorder to wait for the row")
                return {}

            def making(self) -> Sequence[Question]:
                return []

            def begin(self, made: Sequence[Row]) -> Sequence[Question]:
                assert not made, "nothing was put into words"
                return []

        record(desk.store, desk.protocol, [decision], decision.time, BeforeTheCommit())
        [answer] = recorder[0].result()
    assert isinstance(answer.error, Forbidden), answer
    assert "only an investigator may take that back" in str(answer.error)
    desk.store.close()


@pytest.mark.requirement("INT-04")
def test_of_several_events_under_one_id_all_are_barred_when_one_is(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    contact = study.event("itp.contact.attempted", "2026-01-05", None, event_id="one", reached=True)
    decision = study.event(
        "itp.withdrawal.decided", "2026-01-05", None, event_id="one", decision="withdraw", reason="r"
    )
    for batch in ([decision, contact], [contact, decision]):
        answers = record(desk.store, desk.protocol, batch, contact.time, sender=Speaker())
        assert all(isinstance(answer.error, Forbidden) for answer in answers), answers


@pytest.mark.requirement("SEC-01")
def test_what_restates_an_event_falls_with_the_void_that_its_sender_may_not_state(
    desk: Desk, study: Study
) -> None:
    desk.take(study.enrol())
    found: dict[str, Any] = {"term": "fever", "grade": 3, "serious": True, "related": False}
    kind = "itp.adverse-event.reported"
    desk.take(stated := study.event(kind, "2026-01-05", None, source="edc", ae="AE-1", **found))
    void = study.void(stated, "2026-01-06", source="castor")
    anew = study.event(kind, "2026-01-05", "2026-01-06", source="castor", ae="AE-1", **found)
    castor = Speaker(source="castor")
    answers = record(desk.store, desk.protocol, [void, anew], anew.time, sender=castor)
    assert [answer.status for answer in answers] == ["refused", "refused"]
    assert "of the source 'castor' only" in str(answers[0].error)


def enrolment(code: str) -> Event:
    return Study(code=code).enrol()


def test_an_enrolment_makes_a_subject_who_waits_for_the_first_infusion(desk: Desk, study: Study) -> None:
    answer = desk.take(study.enrol())[0]
    row = queries.subject(desk.store, "ITP-001")
    assert answer.status == "recorded"
    assert row
    assert answer.advanced
    assert (row.state, row.exited, row.site) == ("INF1 window open", False, "01")
    assert row.wake_at == answer.advanced.wake_at
    assert answer.advanced.due_notices


@pytest.mark.requirement("INT-04")
def test_the_same_event_again_changes_nothing_and_is_known(desk: Desk, study: Study) -> None:
    event = study.enrol()
    desk.take(event)
    before = queries.log_lines(desk.store, "ITP-001")
    assert [answer.status for answer in desk.take(event, event)] == ["known", "known"]
    assert queries.log_lines(desk.store, "ITP-001") == before


@pytest.mark.requirement("INT-04")
def test_the_same_event_a_hundred_times_at_once_counts_once(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    event = study.done("INF1", "2026-01-05")
    answers = at_once([lambda: desk.take(event)] * 100)
    assert Counter(answer.status for answer in answers) == {"recorded": 1, "known": 99}
    assert [line.event.key for line in queries.log_lines(desk.store, "ITP-001")].count(event.key) == 1


def test_of_two_events_at_once_that_exclude_each_other_one_is_recorded(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    other = Study()
    other.enrol()
    events = [study.done("INF1", "2026-01-05"), other.missed("INF1", "2026-01-06")]
    now = max(event.time for event in events)
    answers = at_once([lambda event=event: desk.take(event, now=now) for event in events])  # type: ignore[misc]
    assert sorted(answer.status for answer in answers) in (["recorded", "refused"], ["known", "recorded"])


def test_of_two_enrolments_of_one_subject_at_once_one_is_recorded(desk: Desk) -> None:
    one, other = Study(), Study()
    other.event("itp.subject.enrolled", "2026-01-05", **_enrolment_data())
    events = [one.enrol(), other.enrol()]
    assert events[0].key != events[1].key
    answers = at_once([lambda event=event: desk.take(event) for event in events])  # type: ignore[misc]
    assert sorted(answer.status for answer in answers) == ["recorded", "refused"]
    refused = next(answer for answer in answers if answer.status == "refused")
    assert isinstance(refused.error, Refused)
    assert len(queries.all_subjects(desk.store)) == 1


def _enrolment_data() -> dict[str, Any]:
    data = enrolment("ITP-009").to_json()["data"]
    return {name: value for name, value in data.items() if name not in ("by", "on")}


def test_a_source_and_id_known_of_another_subject_name_no_second_one(desk: Desk) -> None:
    mine, other = enrolment("ITP-001"), enrolment("ITP-002")
    assert mine.key == other.key
    assert [answer.status for answer in desk.take(mine, other)] == ["recorded", "refused"]
    assert [row.code for row in queries.all_subjects(desk.store)] == ["ITP-001"]


@pytest.mark.requirement("INT-04")
def test_one_source_and_id_for_two_subjects_at_once_is_recorded_once(desk: Desk) -> None:
    events = [enrolment("ITP-001"), enrolment("ITP-002")]
    answers = at_once([lambda event=event: desk.take(event) for event in events])  # type: ignore[misc]
    assert sorted(answer.status for answer in answers) == ["recorded", "refused"]


def test_a_batch_is_answered_in_its_order_and_its_good_events_are_kept(desk: Desk, study: Study) -> None:
    enrolled, done = study.enrol(), study.done("INF1", "2026-01-05", at="2026-01-05 15:00")
    ahead = Study().event("itp.visit.completed", "2026-01-05", visit="INF3", event_id="x-3")
    stranger = Study(code="ITP-002").event("itp.visit.completed", "2026-01-05", visit="INF1", event_id="x-2")
    answers = desk.take(ahead, stranger, done, enrolled)
    assert [answer.event for answer in answers] == [ahead, stranger, done, enrolled]
    assert [answer.status for answer in answers] == ["refused", "refused", "recorded", "recorded"]


def test_a_refused_enrolment_is_a_line_of_the_screening_log_and_no_subject(desk: Desk) -> None:
    event = Study().event("itp.subject.enrolled", "2026-01-05", **_unfit())
    first = desk.take(event)[0]
    assert isinstance(first.error, NotEligible)
    assert queries.all_subjects(desk.store) == []
    [line] = queries.screening_refusals(desk.store)
    assert (line.subject, str(line.on), tuple(line.unmet)) == ("ITP-001", "2026-01-05", first.error.unmet)


def test_a_refused_enrolment_sent_again_is_answered_as_the_first_time(desk: Desk) -> None:
    event = Study().event("itp.subject.enrolled", "2026-01-05", **_unfit())
    first, again, doubled = *desk.take(event), *desk.take(event, event)[:1], desk.take(event)[0]
    assert {(answer.status, str(answer.error)) for answer in (first, again, doubled)} == {
        ("refused", str(first.error))
    }
    assert len(queries.screening_refusals(desk.store)) == 1


def _unfit() -> dict[str, Any]:
    data = _enrolment_data()
    assert isinstance(data["screening"], dict)
    return data | {"screening": data["screening"] | {"ast_x_uln": 3.4}}


def test_the_doors_refuse_the_services_own_source(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    notice = NoticeIssued(by="service", notice="x", kind="alert", step="sae", audience="ops", due=ENROLLED_AT)
    answer = desk.take(Event("x", "itp", "ITP-001", ENROLLED_AT, notice), now=later(ENROLLED_AT, days=1))[0]
    assert answer.status == "refused"
    assert "x" not in {row.key for row in desk.notices()}


def test_waking_again_changes_nothing(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    before = queries.log_lines(desk.store, "ITP-001"), desk.notices(), queries.subject(desk.store, "ITP-001")
    for _ in range(3):
        desk.wake("ITP-001", max(event.time for event in study.log))
    after = queries.log_lines(desk.store, "ITP-001"), desk.notices(), queries.subject(desk.store, "ITP-001")
    assert after == before


def test_nobody_decides_at_an_instant_before_the_last_decision(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    at = datetime(2026, 1, 6, 4, tzinfo=UTC)
    alert = study.adverse_event("2026-01-06", at=at, serious=True)
    desk.take(alert)
    desk.wake("ITP-001", later(at, seconds=-5))
    assert {notice.status for notice in desk.notices() if notice.step == "sae"} == {"queued"}


def test_a_notice_key_is_queued_once(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    again = next(
        event for event in queries.history(desk.store, "ITP-001") if event.data.type.endswith("issued")
    )
    with pytest.raises(IntegrityError), desk.store.writing() as connection:
        ask_in_turn(connection, outbox.queueing(outbox.new_rows([again], ENROLLED_AT)))


def test_advancing_somebody_who_is_not_enrolled_is_refused(desk: Desk) -> None:
    with pytest.raises(Refused, match="ITP-404 is not enrolled"):
        desk.wake("ITP-404", ENROLLED_AT)


def test_a_corrected_enrolment_moves_the_subject_to_its_site(desk: Desk, study: Study) -> None:
    wrong = study.enrol()
    desk.take(wrong)
    elsewhere = Study(site="02")
    elsewhere.last_id = 10
    at = later(wrong.time, hours=1)
    desk.take(study.void(wrong, at), elsewhere.enrol(at=at), now=at)
    row = queries.subject(desk.store, "ITP-001")
    assert row
    assert row.site == "02"


def due(desk: Desk, now: datetime, limit: int = 5) -> list[str]:
    return [row.code for row in queries.due_subjects(desk.store, now, limit)]


def test_due_subjects_are_those_whose_wake_has_come_the_longest_due_first(desk: Desk) -> None:
    for number, code in enumerate(("ITP-002", "ITP-001"), 1):
        study = Study(code=code)
        study.last_id = 10 * number
        desk.take(study.enrol(f"2026-01-0{number + 4}"))
    rows = {row.code: row for row in queries.all_subjects(desk.store)}
    assert list(rows) == ["ITP-001", "ITP-002"]
    wakes = {code: row.wake_at for code, row in rows.items()}
    assert wakes["ITP-001"]
    assert wakes["ITP-002"]
    assert [row.code for row in queries.due_subjects(desk.store, wakes["ITP-002"], 5)] == ["ITP-002"]
    assert [row.code for row in queries.due_subjects(desk.store, wakes["ITP-001"], 5)] == [
        "ITP-002",
        "ITP-001",
    ]
    assert [row.code for row in queries.due_subjects(desk.store, wakes["ITP-001"], 1)] == ["ITP-002"]
    assert queries.next_wake(desk.store) == wakes["ITP-002"]


def test_a_journey_is_live_after_exit_while_a_clock_runs(desk: Desk, study: Study) -> None:
    at = datetime(2026, 1, 6, 4, tzinfo=UTC)
    study.enrol()
    event = study.adverse_event("2026-01-06", at=at, serious=True, outcome="fatal")
    desk.take(study.log[0], event, study.died("2026-01-06"))
    assert [(row.code, row.exited, row.live) for row in queries.live_subjects(desk.store)] == [
        ("ITP-001", True, True)
    ]
    desk.take(study.submitted("AE-1", "2026-01-06", at=at))
    assert queries.live_subjects(desk.store) == []


def test_repairs_are_listed_the_newest_first(desk: Desk) -> None:
    for hour, what in enumerate(("first", "second")):
        repairs.note_repair(desk.store, what, later(ENROLLED_AT, hours=hour), "ITP-001")
    assert [repair.what for repair in repairs.latest_repairs(desk.store)] == ["second", "first"]
    assert len(repairs.latest_repairs(desk.store, limit=1)) == 1


def test_a_door_knows_whether_anything_waits_to_be_handed_over(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    done = study.done("INF1", "2026-01-05", at=later(ENROLLED_AT, minutes=1))
    booked = study.booked("INF2", "2026-01-12", at=later(ENROLLED_AT, minutes=2))
    voided = study.void(booked, later(ENROLLED_AT, minutes=3))
    again = study.booked("INF2", "2026-01-13", at=later(ENROLLED_AT, minutes=4))
    waits = []
    for stated in (done, booked, voided, again):
        [answer] = desk.take(stated)
        assert answer.advanced
        waits.append(answer.advanced.due_notices)
        queued = [each for each in desk.notices() if each.status == "queued"]
        assert answer.advanced.due_notices == bool(queued)
    assert waits == [True, False, True, False]


def test_a_door_knows_of_what_an_earlier_event_left_waiting(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    [answer] = desk.take(study.contact("2026-01-05", reached=True, at=later(ENROLLED_AT, minutes=1)))
    assert answer.advanced
    assert answer.advanced.due_notices


# One id names one content; one subject has one code


def test_an_id_that_names_another_subjects_event_is_refused_and_says_what_it_names(
    desk: Desk, study: Study
) -> None:
    desk.take(study.enrol())
    other = Study(code="ITP-002")
    [answer] = desk.take(other.enrol(weight_kg=70.0))
    assert answer.status == "refused"
    assert isinstance(answer.error, Refused)
    assert answer.error.rule == "id-reused"
    assert "for ITP-001 already" in str(answer.error)
    assert queries.subject(desk.store, "ITP-002") is None


def test_a_refused_enrolment_names_nothing_and_can_be_mended_under_its_id(desk: Desk, study: Study) -> None:
    wrong = study.event("itp.subject.enrolled", "2026-01-05", **_unfit())
    worse = replace(
        wrong, data=wrong.data.model_copy(update={"weight_kg": 60.0, "consent_on": date(2026, 1, 6)})
    )
    right = study.event("itp.subject.enrolled", "2026-01-05", event_id=wrong.id, **_enrolment_data())
    assert [desk.take(event)[0].status for event in (wrong, wrong, worse, right)] == [
        *["refused"] * 3,
        "recorded",
    ]
    assert [len(line.unmet) for line in queries.screening_refusals(desk.store)] == [1, 2]


@pytest.mark.parametrize("code", ["itp-001", "ＩＴＰ-００１", " ITP-001 ", "Itp- 001"])
def test_codes_that_differ_in_case_width_or_spaces_only_are_one_subject(
    desk: Desk, study: Study, code: str
) -> None:
    desk.take(study.enrol())
    done = parse_event({**study.raw("itp.visit.completed", "2026-01-05", visit="INF1"), "subject": code})
    enrolment = study.raw("itp.subject.enrolled", "2026-01-05", "2026-01-05 12:00", **_enrolment_data())
    again = parse_event({**enrolment, "subject": code})
    assert [answer.status for answer in desk.take(done)] == ["recorded"]
    [answer] = desk.take(again)
    assert isinstance(answer.error, Refused)
    assert answer.error.rule == "second-enrolment"
    assert [row.code for row in queries.all_subjects(desk.store)] == ["ITP-001"]
    assert {event.subject for event in queries.history(desk.store, "ITP-001")} == {"ITP-001"}


@pytest.mark.parametrize(("seconds", "status"), [(1, "recorded"), (300, "recorded"), (301, "refused")])
def test_a_clock_ahead_by_five_minutes_at_most_has_its_time_counted_as_the_recordings(
    desk: Desk, study: Study, seconds: int, status: str
) -> None:
    event = study.enrol()
    now = event.time - timedelta(seconds=seconds)
    assert [answer.status for answer in desk.take(event, now=now)] == [status]
    if status == "recorded":
        assert queries.history(desk.store, "ITP-001")[0].time == now
        assert [answer.status for answer in desk.take(event, now=event.time)] == ["known"]
