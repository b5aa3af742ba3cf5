"""A few subjects are recorded in one transaction: the outcome is that of one transaction for each."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itp_events.events import Enrolled, Event
from tasks import advance as advancing
from tasks.advance import LONG, TOGETHER, Answer, in_groups, record
from tasks.database import event_log, outbox, postgresql
from tasks.database.store import Store
from tasks.database.unreadable import Unreadable
from tasks.delivery.claiming import ClaimAtOnce
from tasks.delivery.claims import Clocks
from tests.support.damage import damage_log
from tests.support.databases import migrated_sqlite
from tests.support.receiver import Receiver
from tests.support.study import Study
from tests.tasks.desk import ENROLLED_AT, Desk, ReportedLate, later

pytestmark = pytest.mark.requirement("INT-03")

DAY = "2026-01-06"
LATER = later(ENROLLED_AT, days=2)
CODES = [f"ITP-{number:03}" for number in range(1, TOGETHER + 3)]


def studies(kind: Callable[..., Study] = Study) -> list[Study]:
    """Subjects whose events have ids of their own."""
    made = [kind(code=code) for code in CODES]
    for number, study in enumerate(made):
        study.last_id = 100 * number
    return made


def statements(study: Study) -> list[Event]:
    """What may be stated of a subject, some of which cannot be recorded as it is."""
    enrolled, contact = study.enrolment(), study.event("itp.contact.attempted", DAY, reached=True)
    return [
        enrolled,
        replace(enrolled, subject=study.code.lower(), id=f"{study.code}-folded"),
        study.enrolment(screening={"age_years": 80}),
        study.event("itp.visit.completed", DAY, visit="INF1", platelets=20),
        study.event("itp.visit.completed", DAY, visit="INF3"),
        contact,
        # Under one id for all subjects: the first counts.
        replace(contact, id="the same"),
        replace(enrolled, id="the same"),
        study.event(
            "itp.adverse-event.reported", DAY, ae="AE-1", term="x", grade=4, serious=True, related=True
        ),
    ]


def shown(answer: Answer) -> tuple[Any, ...]:
    """An answer as values that can be compared."""
    return answer.event.key, answer.event.subject, answer.status, str(answer.error), answer.advanced


def held(store: Store) -> dict[str, list[Any]]:
    """All that a study holds of its subjects, each as it stands."""
    with store.reading() as connection:
        return {
            name: sorted(map(tuple, connection.execute(sa.text(f"SELECT * FROM {name}"))), key=repr)
            for name in ("subjects", "events", "notices", "screening_log", "service_log")
        }


def taken(path: Path, batches: list[list[Event]]) -> tuple[list[Any], dict[str, list[Any]]]:
    """What a fresh study answers to the batches, and what it holds then."""
    desk = Desk.open(migrated_sqlite(path))
    answers = [shown(answer) for batch in batches for answer in desk.take(*batch, now=LATER)]
    found = held(desk.store)
    desk.store.close()
    path.unlink()
    return answers, found


def without_numbers(found: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Without the numbers that the database gives to the rows of a log, which follow the order of writing."""
    return found | {name: sorted((row[1:] for row in found[name]), key=repr) for name in ("service_log",)}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_batch_has_the_same_outcome_however_many_subjects_are_recorded_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    known = [event for study in studies() for event in statements(study)]
    batches = data.draw(st.lists(st.lists(st.sampled_from(known), min_size=1, max_size=16), max_size=3))
    outcomes = []
    for together in (1, TOGETHER):
        with monkeypatch.context() as limits:
            limits.setattr(advancing, "TOGETHER", together)
            answers, found = taken(tmp_path / "study.db", batches)
            outcomes.append((answers, without_numbers(found)))
    assert outcomes[0] == outcomes[1]


@given(data=st.data())
def test_every_event_is_in_one_group_with_all_of_its_subject_and_no_group_repeats_an_id(
    data: st.DataObject,
) -> None:
    known = [event for study in studies() for event in statements(study)]
    batch = data.draw(st.lists(st.sampled_from(known), max_size=60))
    groups = in_groups(batch)
    places = [place for group in groups for of_one in group for place in of_one]
    assert sorted(places) == list(range(len(batch)))
    for group in groups:
        assert len(group) <= TOGETHER
        subjects = [{batch[place].subject.lower() for place in of_one} for of_one in group]
        assert all(len(each) == 1 for each in subjects)
        if len(group) > 1:
            assert all(len(of_one) <= LONG for of_one in group)
            assert all(isinstance(batch[place].data, Enrolled) for of_one in group for place in of_one)
        keys = [key for of_one in group for key in {batch[place].key for place in of_one}]
        assert len(keys) == len(set(keys)), "one would be judged without what became of the other"
    codes = [batch[of_one[0]].subject.lower() for group in groups for of_one in group]
    assert len(codes) == len(set(codes)), "each subject is in one group"
    assert codes == list(dict.fromkeys(event.subject.lower() for event in batch))


def test_a_subject_that_cannot_be_read_keeps_nothing_of_the_others_back(desk: Desk, told: Receiver) -> None:
    first, damaged, third, *_ = studies(ReportedLate)
    desk.take(damaged.enrol())
    damage_log(desk.store, damaged.code, 1, "not json")
    again = replace(damaged.log[0], id="another")
    answers = desk.take(first.enrol(), again, third.enrol(), at_once=True)
    assert [answer.status for answer in answers] == ["recorded", "refused", "recorded"]
    assert isinstance(answers[1].error, Unreadable)
    assert str(answers[1].error).startswith(f"{damaged.code} cannot be read: line 1")
    assert not desk.claimed
    assert sum(len(desk.claim(LATER, each.code)) for each in (first, third)) == 2


def test_an_error_with_one_subject_claims_nothing_of_the_others(
    desk: Desk, told: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction that took their notices is undone: they are left to the next claim."""
    first, broken, third, *_ = studies(ReportedLate)
    change = outbox.change

    def fail(connection: sa.Connection, decided: Any, now: Any) -> None:
        if any(event.subject == broken.code for event in decided):
            raise ZeroDivisionError
        change(connection, decided, now)

    with monkeypatch.context() as patched:
        patched.setattr(outbox, "change", fail)
        answers = desk.take(*[each.enrol() for each in (first, broken, third)], at_once=True)
    assert [answer.status for answer in answers] == ["recorded", "refused", "recorded"]
    assert isinstance(answers[1].error, Unreadable)
    assert broken.code in str(answers[1].error)
    assert not desk.claimed, "no hand-over may begin of what nobody holds"
    assert sum(len(desk.claim(LATER, each.code)) for each in (first, third)) == 2


def test_claims_of_a_run_that_was_undone_do_not_count(
    desk: Desk, told: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else records the event before the transaction is repeated, and tells what it makes due."""
    study = ReportedLate()
    enrolled, tried, keep = study.enrol(), list[int](), event_log.keep_refusals

    def lose_the_first(*given: Any) -> None:
        keep(*given)
        tried.append(len(tried))
        if len(tried) == 1:
            raise sa.exc.IntegrityError("another was first", None, Exception())

    begin = desk.store.writing
    monkeypatch.setattr(event_log, "keep_refusals", lose_the_first)
    other = Desk(desk.store, channels=desk.channels)

    def another_first(**how: Any) -> Any:
        if len(tried) == 1:
            monkeypatch.setattr(desk.store, "writing", begin)
            assert [answer.status for answer in other.take(enrolled)] == ["recorded"]
        return begin(**how)

    monkeypatch.setattr(desk.store, "writing", another_first)
    [answer] = desk.take(enrolled, at_once=True)
    assert answer.status == "known"
    assert not desk.claimed, "it would be told a second time, unmarked"
    assert len(desk.claim(LATER)) == 1


def test_a_few_enrolments_cost_two_round_trips(postgresql_url: str) -> None:
    desk = Desk.open(postgresql_url)
    together = studies()[:TOGETHER]
    with patch.object(postgresql, "ask_together", wraps=postgresql.ask_together) as trips:
        answers = desk.take(*[each.enrol() for each in together])
    assert {answer.status for answer in answers} == {"recorded"}
    asked = [[words.split()[0] for words, _ in trip.args[1]] for trip in trips.call_args_list]
    # Each subject, and what is known of it; then each subject's row, log and notices.
    assert [set(words) for words in asked] == [{"SELECT"}, {"INSERT"}]
    assert len(asked[0]) == 2 * TOGETHER
    desk.store.close()


def test_all_lock_their_subjects_in_one_order(postgresql_url: str) -> None:
    desk = Desk.open(postgresql_url)
    together = studies()[:TOGETHER]
    enrolled, orders = [each.enrolment() for each in together], []
    for batch in (enrolled, list(reversed(enrolled))):
        with patch.object(postgresql, "ask_together", wraps=postgresql.ask_together) as trips:
            desk.take(*batch)
        locking, *_ = trips.call_args_list
        orders.append([values["about"] for _, values in locking.args[1][:TOGETHER]])
    assert orders == [[each.code for each in together]] * 2
    desk.store.close()


def test_an_alert_waits_for_nobody_else_s_row() -> None:
    one, other, *_ = studies()
    alert = one.event(
        "itp.adverse-event.reported", DAY, ae="AE-1", term="x", grade=4, serious=True, related=True
    )
    assert in_groups([alert, other.enrolment()]) == [[[0]], [[1]]]
    assert in_groups([other.enrolment(), alert]) == [[[0]], [[1]]]


@pytest.mark.requirement("INT-04")
def test_of_two_subjects_under_one_id_the_first_counts(desk: Desk) -> None:
    one, other, *_ = studies()
    recorded, refused = desk.take(*[replace(each.enrolment(), id="one") for each in (one, other)])
    assert (recorded.status, refused.status) == ("recorded", "refused")
    assert one.code in str(refused.error)


@pytest.mark.requirement("INT-04")
def test_doors_that_enrol_the_same_subjects_in_any_order_enrol_and_claim_each_once(
    desk: Desk, told: Receiver
) -> None:
    doors = 4
    for turn in range(6):
        codes = [f"ITP-{turn}{number:02}" for number in range(TOGETHER)]
        enrolled = [replace(ReportedLate().enrolment(), subject=code, id=code) for code in codes]
        ready = threading.Barrier(doors)

        def enrol(door: int, enrolled: list[Event] = enrolled, ready: threading.Barrier = ready) -> list[Any]:
            ready.wait(30)
            claiming = ClaimAtOnce(desk.context, Clocks(ENROLLED_AT, ENROLLED_AT))
            batch = enrolled if door % 2 else list(reversed(enrolled))
            answers = record(desk.store, desk.protocol, batch, ENROLLED_AT, claiming)
            return [{answer.event.subject: answer.status for answer in answers}, claiming.by_subject]

        with ThreadPoolExecutor(doors) as pool:
            outcomes = list(pool.map(enrol, range(doors)))
        for code in codes:
            assert sorted(statuses[code] for statuses, _ in outcomes) == ["known"] * 3 + ["recorded"]
            [its_claims] = [claims[code] for _, claims in outcomes if code in claims]
            assert {claim.notice.split("/")[0] for claim in its_claims} == {code}
