"""Letting a batch in: its order, events that are known already, corrections that are judged together."""

from datetime import timedelta
from functools import partial
from itertools import permutations
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from itp_events.errors import Refused
from itp_events.events import Event, parse_event
from itp_events.intake.batch import Judgement, judge
from itp_events.protocol.file import load_protocol
from itp_events.rules.subject import happened
from tests.itp_events.histories import History, histories
from tests.support.study import Json, Study

pytestmark = pytest.mark.requirement("INT-03")

FEVER: Json = {"ae": "AE-1", "term": "Fever", "grade": 2, "serious": False, "related": False}


@pytest.fixture
def study() -> Study:
    study = Study()
    study.enrol("2026-01-05")
    study.done("INF1", "2026-01-05")
    return study


def completed(study: Study, visit: str, on: str, at: str = "2026-03-01", **named: Any) -> Event:
    return study.event("itp.visit.completed", on, at, visit=visit, **named)


def statuses(judgement: Judgement) -> list[str]:
    return [verdict.status for verdict in judgement.verdicts]


def rules(judgement: Judgement) -> list[str | None]:
    errors = [verdict.error for verdict in judgement.verdicts]
    return [error.rule if isinstance(error, Refused) else None for error in errors]


# Order within a batch


def test_a_batch_is_applied_by_the_dates_on_which_things_happened(study: Study) -> None:
    third = completed(study, "INF3", "2026-01-26")
    second = completed(study, "INF2", "2026-01-12")
    judgement = study.judge(third, second)
    assert statuses(judgement) == ["accepted", "accepted"]
    assert [verdict.event for verdict in judgement.verdicts] == [third, second]
    assert judgement.accepted == (second, third)


def test_an_event_without_a_date_is_applied_by_the_local_date_of_its_report(study: Study) -> None:
    missed = study.event("itp.visit.missed", None, "2026-01-14 00:30", visit="INF2", reason="travelling")
    third = completed(study, "INF3", "2026-01-14", "2026-01-14 00:20")  # the same local day, reported before
    judgement = study.judge(third, missed)
    assert rules(judgement) == ["anchor-first", None]

    later = completed(study, "INF3", "2026-01-15", "2026-01-15")
    assert statuses(study.judge(later)) == ["accepted"]


def test_a_booking_is_applied_when_it_was_made_and_not_on_the_day_it_names(study: Study) -> None:
    booking = study.event("itp.visit.booked", "2026-01-12", "2026-01-06", visit="INF2")
    done = completed(study, "INF2", "2026-01-10", "2026-01-10")
    assert statuses(study.judge(done, booking)) == ["accepted", "accepted"]


def test_of_two_events_of_one_date_the_one_reported_first_is_applied_first(study: Study) -> None:
    contact_later = study.event("itp.contact.attempted", "2026-01-12", "2026-01-12 15:00", reached=True)
    exit_first = study.event("itp.consent.withdrawn", "2026-01-12", "2026-01-12 14:00", scope="study")
    assert rules(study.judge(contact_later, exit_first)) == ["after-exit", None]


def test_of_the_same_date_and_instant_the_position_decides(study: Study) -> None:
    at = "2026-01-12 14:00"
    exit = study.event("itp.consent.withdrawn", "2026-01-12", at, scope="study")
    one = completed(study, "INF2", "2026-01-12", at)
    two = completed(study, "INF2", "2026-01-12", at)
    judgement = study.judge(one, two, exit)
    assert rules(judgement) == [None, "recorded-once", None]
    assert judgement.accepted == (one, exit)


@pytest.mark.requirement("INT-04")
def test_the_same_instant_in_two_offsets_is_a_tie(study: Study) -> None:
    here = study.raw("itp.visit.completed", "2026-01-12", "2026-01-12 14:00", visit="INF2")
    there = {**here, "id": "elsewhere", "time": "2026-01-12T06:00:00Z"}
    first, second = parse_event(there), parse_event(here)
    assert study.judge(first, second).accepted == (first,)


def test_a_whole_journey_in_one_batch_may_come_in_any_order() -> None:
    visits = (("INF1", "2026-01-05"), ("INF2", "2026-01-12"), ("INF3", "2026-01-26"))
    for order in permutations(range(4)):
        study = Study()
        done = [completed(study, visit, on, f"{on} 12:00") for visit, on in visits]
        events = [study.enrolment("2026-01-05"), *done]
        judgement = study.judge(*[events[position] for position in order])
        assert set(statuses(judgement)) == {"accepted"}
        assert judgement.accepted == tuple(events)


def test_each_event_of_a_batch_is_accepted_or_refused_by_itself(study: Study) -> None:
    good = completed(study, "INF2", "2026-01-12")
    bad = completed(study, "INF4", "2026-02-09")
    unknown = completed(study, "INF9", "2026-02-09")
    judgement = study.judge(bad, good, unknown)
    assert statuses(judgement) == ["refused", "accepted", "refused"]
    assert judgement.accepted == (good,)
    assert study.log[-1] == good


# Known already


@pytest.mark.requirement("INT-04")
def test_the_same_source_and_id_again_is_known_and_changes_nothing(study: Study) -> None:
    before = study.plan("2026-01-06")
    judgement = study.judge(study.log[1])
    assert statuses(judgement) == ["known"]
    assert judgement.accepted == ()
    assert study.plan("2026-01-06") == before


@pytest.mark.requirement("INT-04")
def test_the_same_source_and_id_with_other_content_are_refused_and_say_what_they_name(study: Study) -> None:
    other = completed(study, "INF2", "2026-01-12", event_id=study.log[1].id)
    [verdict] = study.judge(other).verdicts
    assert isinstance(verdict.error, Refused)
    assert verdict.error.rule == "id-reused"
    assert "names itp.visit.completed of INF1 of 5 Jan 2026 for ITP-001 already" in str(verdict.error)
    assert study.plan("2026-03-02").visit("INF2")["status"] != "completed"


def test_another_time_is_another_content_where_no_clock_may_be_ahead(study: Study) -> None:
    """A door cannot tell it from the instant of recording that took the place of the sender's time."""
    first = study.event(
        "itp.contact.attempted", "2026-01-12", "2026-01-12 11:00", event_id="c-1", reached=True
    )
    again = study.event(
        "itp.contact.attempted", "2026-01-12", "2026-01-12 11:03", event_id="c-1", reached=True
    )
    assert rules(study.judge(first, again)) == [None, "id-reused"]
    judgement = judge(
        study.protocol, study.log, [again], study.instant("2026-01-13"), tolerance=timedelta(minutes=5)
    )
    assert statuses(judgement) == ["known"]


@pytest.mark.requirement("INT-04")
def test_the_same_id_of_another_source_is_another_event(study: Study) -> None:
    other = completed(study, "INF2", "2026-01-12", event_id=study.log[1].id, source="redcap")
    assert statuses(study.judge(other)) == ["accepted"]


def test_true_and_1_are_two_contents(study: Study) -> None:
    bled = completed(study, "INF2", "2026-01-12", bleeding=True)
    study.record(bled)
    graded = completed(study, "INF2", "2026-01-12", bleeding=1, event_id=bled.id)
    assert rules(study.judge(graded)) == ["id-reused"]


@pytest.mark.requirement("INT-04")
def test_of_two_contents_under_one_id_the_first_in_the_file_has_it(study: Study) -> None:
    later = completed(study, "INF5", "2026-01-26")
    earlier = completed(study, "INF2", "2026-01-12", event_id=later.id)
    assert rules(study.judge(later, earlier)) == ["anchor-first", None]  # what is refused names nothing
    fresh = completed(study, "INF3", "2026-01-26")
    other = completed(study, "INF3", "2026-01-25", event_id=fresh.id)
    assert rules(study.judge(fresh, other)) == [None, "id-reused"]


@pytest.mark.requirement("INT-04")
def test_the_same_event_twice_in_a_batch_counts_once(study: Study) -> None:
    event = completed(study, "INF2", "2026-01-12")
    judgement = study.judge(event, event)
    assert statuses(judgement) == ["accepted", "known"]
    assert judgement.accepted == (event,)


def test_a_known_event_is_known_also_after_the_exit(study: Study) -> None:
    study.withdrew("2026-01-20")
    assert statuses(study.judge(study.log[1])) == ["known"]


@pytest.mark.requirement("COR-01")
def test_a_voided_event_sent_again_stays_voided(study: Study) -> None:
    event = study.done("INF2", "2026-01-12")
    study.voided(event, "2026-01-13")
    assert statuses(study.judge(event)) == ["known"]
    assert study.plan("2026-01-13 12:00").visit("INF2")["status"] == "open"


# A void and its restatement


@pytest.mark.requirement("COR-01")
def test_a_void_and_its_restatement_in_one_batch_are_both_accepted(study: Study) -> None:
    wrong = study.done("INF2", "2026-01-12")
    study.done("INF3", "2026-01-26")
    void, again = study.void(wrong, "2026-01-27"), completed(study, "INF2", "2026-01-13", "2026-01-27")
    for order in ((void, again), (again, void)):
        fresh = Study()
        fresh.log = list(study.log)
        assert statuses(fresh.judge(*order)) == ["accepted", "accepted"]
        assert fresh.plan("2026-01-28").visit("INF2")["on"] == "2026-01-13"


def test_a_restatement_that_is_refused_takes_its_void_with_it(study: Study) -> None:
    wrong = study.done("INF2", "2026-01-12")
    ahead = completed(study, "INF2", "2026-01-20", "2026-01-13")
    judgement = study.judge(study.void(wrong, "2026-01-13"), ahead)
    assert rules(judgement) == ["together", "date-ahead"]
    assert judgement.accepted == ()
    assert str(judgement.verdicts[1].error) in str(judgement.verdicts[0].error)
    assert study.plan("2026-01-14").visit("INF2")["on"] == "2026-01-12"


@pytest.mark.requirement("COR-01")
def test_a_void_that_is_refused_leaves_its_restatement_to_be_judged_by_itself(study: Study) -> None:
    wrong = study.done("INF2", "2026-01-12")
    study.voided(wrong, "2026-01-13")
    judgement = study.judge(
        study.void(wrong, "2026-01-14"), completed(study, "INF2", "2026-01-13", "2026-01-14")
    )
    assert rules(judgement) == ["void", None]
    assert study.plan("2026-01-15").visit("INF2")["on"] == "2026-01-13"


def test_a_visit_declared_missed_is_restated_as_done_and_the_reverse(study: Study) -> None:
    missed = study.missed("INF2", "2026-01-15")
    done = completed(study, "INF2", "2026-01-12", "2026-01-20")
    for order in permutations((study.void(missed, "2026-01-20"), done)):
        fresh = Study()
        fresh.log = list(study.log)
        assert statuses(fresh.judge(*order)) == ["accepted", "accepted"]
        assert fresh.plan("2026-01-21").visit("INF2")["on"] == "2026-01-12"
    study.record(study.void(missed, "2026-01-20"), done)
    again = study.event("itp.visit.missed", None, "2026-01-22", visit="INF2", reason="another subject's")
    assert statuses(study.judge(again, study.void(done, "2026-01-22"))) == ["accepted", "accepted"]
    assert study.plan("2026-01-23").visit("INF2")["status"] == "missed"


def test_another_visit_long_after_a_void_is_no_restatement(study: Study) -> None:
    wrong = study.done("INF2", "2026-01-12")
    void = study.void(wrong, "2026-01-27 09:00")
    ahead = completed(study, "INF3", "2026-01-28", "2026-01-27 09:06")
    assert rules(study.judge(void, ahead)) == [None, "date-ahead"]


def test_a_restatement_beside_its_void_may_name_another_visit_and_takes_the_void_with_it(
    study: Study,
) -> None:
    wrong = study.done("INF2", "2026-01-12")
    void = study.void(wrong, "2026-01-27 09:00")
    ahead = completed(study, "INF3", "2026-01-28", "2026-01-27 09:05")
    assert rules(study.judge(void, ahead)) == ["together", "date-ahead"]


@pytest.mark.requirement("COR-01")
def test_an_enrolment_is_corrected_by_void_and_restatement_in_one_batch(study: Study) -> None:
    enrolment = study.log[0]
    again = study.enrolment("2026-01-04", at="2026-01-06", weight_kg=16.5)
    assert statuses(study.judge(again, study.void(enrolment, "2026-01-06"))) == ["accepted", "accepted"]
    plan = study.plan("2026-01-07")
    assert plan.visit("INF1")["anchor"]["on"] == "2026-01-04"
    assert plan.visit("INF1")["status"] == "completed"


@pytest.mark.parametrize(
    ("on", "judged"), [("2026-01-07", ["together", "before-enrolment"]), ("2026-01-04", [])]
)
def test_a_corrected_enrolment_has_its_own_date_behind_what_was_given_by_then(
    on: str, judged: list[str]
) -> None:
    """The infusion was given: a correction that would deny it is refused, as it would be a day later."""
    study = Study()
    first = study.enrolment("2026-01-05")
    infusion = completed(study, "INF1", "2026-01-06", "2026-01-06")
    void, again = study.void(first, "2026-01-09"), study.enrolment(on, at="2026-01-09")
    for order in permutations((first, infusion, void, again)):
        fresh = Study()
        verdicts = {each.event.key: each for each in fresh.judge(*order, now="2026-01-10").verdicts}
        assert verdicts[infusion.key].status == "accepted", [each.id for each in order]
        refused = [verdicts[event.key].error for event in (void, again)]
        assert [error.rule for error in refused if isinstance(error, Refused)] == judged


@pytest.mark.requirement("COR-01")
def test_an_enrolment_restated_wrongly_leaves_the_first_one_standing(study: Study) -> None:
    enrolment = study.log[0]
    again = study.enrolment("2026-01-05", at="2026-01-06", first_infusion_on="2026-02-01")
    assert rules(study.judge(study.void(enrolment, "2026-01-06"), again)) == ["together", "first-infusion"]
    assert study.plan("2026-01-07").visit("INF1")["status"] == "completed"


def test_two_corrections_in_one_batch_find_each_their_own_restatement(study: Study) -> None:
    one = study.adverse_event("2026-01-06", ae="AE-1")
    two = study.adverse_event("2026-01-06", ae="AE-2")

    def again(ae: str) -> Event:
        data: Json = {"grade": 2, "serious": False, "related": False, "term": "Headache"}
        return study.event("itp.adverse-event.reported", "2026-01-06", "2026-01-08", ae=ae, **data)

    batch = (study.void(one, "2026-01-08"), study.void(two, "2026-01-08"), again("AE-2"), again("AE-1"))
    assert statuses(study.judge(*batch)) == ["accepted"] * 4


def test_of_two_events_reported_at_one_instant_only_the_later_in_the_file_restates_the_other() -> None:
    study = Study()
    first, second = study.enrolment(at="2026-01-05 12:15"), study.enrolment(at="2026-01-05 12:15")
    void, again = study.void(second, "2026-01-05 12:17"), study.enrolment(at="2026-01-05 12:19")
    assert rules(study.judge(first, second, void, again)) == [
        None,
        "second-enrolment",
        "void",
        "second-enrolment",
    ]


def test_an_event_and_its_void_may_come_in_one_batch(study: Study) -> None:
    event = completed(study, "INF2", "2026-01-12", "2026-01-12")
    again = completed(study, "INF2", "2026-01-13", "2026-01-14")
    void = study.void(event, "2026-01-14")
    for order in permutations((event, void, again)):
        fresh = Study()
        fresh.log = list(study.log)
        assert set(statuses(fresh.judge(*order))) == {"accepted"}, [each.id for each in order]
        assert fresh.plan("2026-01-15").visit("INF2")["on"] == "2026-01-13"


def test_a_pair_goes_behind_the_wrong_event_that_comes_with_it(study: Study) -> None:
    wrong = study.event("itp.subject.died", "2026-01-12", "2026-01-12")
    void = study.void(wrong, "2026-01-13")
    again = study.event("itp.subject.died", "2026-01-10", "2026-01-13")
    for order in permutations((wrong, void, again)):
        fresh = Study()
        fresh.log = list(study.log)
        assert fresh.judge(*order).accepted == (wrong, void, again), [each.id for each in order]


def test_a_correction_of_a_correction_goes_behind_it(study: Study) -> None:
    one = study.event("itp.contact.attempted", "2026-01-14", "2026-01-14", reached=False)
    void_one = study.void(one, "2026-01-15")
    two = study.event("itp.contact.attempted", "2026-01-14", "2026-01-15", reached=True)
    void_two = study.void(two, "2026-01-16")
    three = study.event("itp.contact.attempted", "2026-01-13", "2026-01-16", reached=True)
    for order in permutations((one, void_one, two, void_two, three)):
        fresh = Study()
        fresh.log = list(study.log)
        assert set(statuses(fresh.judge(*order))) == {"accepted"}, [each.id for each in order]
        assert three.key in {fact.key for fact in fresh.folded().facts}


def test_what_comes_between_a_void_and_its_later_restatement_is_judged_between_them(study: Study) -> None:
    """Of INF2 nothing stood at noon: it could be booked then."""
    wrong = completed(study, "INF2", "2026-01-13", "2026-01-13 09:00")
    void = study.void(wrong, "2026-01-13 11:00")
    booking = study.event("itp.visit.booked", "2026-01-13", "2026-01-13 12:00", visit="INF2")
    again = completed(study, "INF2", "2026-01-13", "2026-01-13 18:00")
    for order in permutations((wrong, void, booking, again)):
        fresh = Study()
        fresh.log = list(study.log)
        assert set(statuses(fresh.judge(*order))) == {"accepted"}, [each.id for each in order]


def test_a_later_restatement_that_is_refused_takes_its_void_with_it(study: Study) -> None:
    wrong = completed(study, "INF2", "2026-01-13", "2026-01-13 09:00")
    void = study.void(wrong, "2026-01-13 11:00")
    ahead = completed(study, "INF2", "2026-01-15", "2026-01-14")
    judgement = study.judge(wrong, void, ahead)
    assert rules(judgement) == [None, "together", "date-ahead"]
    assert study.plan("2026-01-15").visit("INF2")["on"] == "2026-01-13"


@pytest.mark.requirement("COR-01")
@pytest.mark.parametrize("at", ["2026-01-13 11:00", "2026-01-14"], ids=["beside its void", "later"])
def test_a_void_sent_twice_takes_nothing_back_alone_when_its_restatement_is_refused(
    study: Study, at: str
) -> None:
    wrong = study.done("INF2", "2026-01-12", at="2026-01-12")
    void = study.void(wrong, "2026-01-13 11:00")
    ahead = completed(study, "INF2", "2026-01-20", at)
    for order in ((void, ahead, void), (void, void, ahead), (void, ahead, void, ahead)):
        judgement = study.judge(*order)
        assert judgement.accepted == ()
        assert set(statuses(judgement)) == {"refused"}
    assert study.plan("2026-01-15").visit("INF2")["on"] == "2026-01-12"


def test_of_several_voids_of_one_event_the_first_takes_it_back(study: Study) -> None:
    wrong = study.missed("INF2", "2026-01-15")
    first, second = study.void(wrong, "2026-01-20"), study.void(wrong, "2026-01-25 10:00")
    again = study.event("itp.visit.missed", None, "2026-01-25 10:01", visit="INF2", reason="ill")
    for order in permutations((first, second, again)):
        fresh = Study()
        fresh.log = list(study.log)
        verdicts = {each.event.key: each.status for each in fresh.judge(*order).verdicts}
        assert [verdicts[event.key] for event in (first, second, again)] == [
            "accepted",
            "refused",
            "accepted",
        ]


def test_each_of_two_voids_goes_with_the_restatement_reported_next(study: Study) -> None:
    one = study.event("itp.visit.completed", "2026-01-12", "2026-01-12", visit="INF2")
    void_one = study.void(one, "2026-01-13 10:00")
    two = completed(study, "INF2", "2026-01-11", "2026-01-13")
    void_two = study.void(two, "2026-01-14 10:00")
    three = completed(study, "INF2", "2026-01-13", "2026-01-14")
    for order in permutations((one, void_one, two, void_two, three)):
        fresh = Study()
        fresh.log = list(study.log)
        assert set(statuses(fresh.judge(*order))) == {"accepted"}, [each.id for each in order]
        assert fresh.folded().completed["INF2"] == three


def test_an_event_between_consent_and_enrolment_may_come_with_the_enrolment() -> None:
    study = Study()
    enrolment = study.enrolment("2026-01-05")
    before = study.event("itp.adverse-event.reported", "2026-01-03", "2026-01-05", **FEVER)
    for order in permutations((before, enrolment)):
        fresh = Study()
        assert fresh.judge(*order).accepted == (enrolment, before)


@settings(max_examples=25)
@given(histories(), st.randoms(use_true_random=False))
def test_a_history_in_one_batch_is_judged_alike_in_whatever_order_it_comes(
    history: History, random: object
) -> None:
    facts = history.facts
    site = Study().site
    places = [(happened(site, event), event.time) for event in facts]
    assume(len(set(places)) == len(places))
    shuffled = list(facts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    judge_all = partial(judge, load_protocol(), [], now=history.end)
    assert judge_all(batch=shuffled).accepted == judge_all(batch=facts).accepted


@given(
    on=st.sampled_from(["2026-01-11", "2026-01-13", "2026-01-20"]),
    at=st.sampled_from(["2026-01-13 11:00", "2026-01-13 18:00", "2026-01-15"]),
    places=st.lists(st.integers(0, 2), max_size=4),
    random=st.randoms(use_true_random=False),
)
def test_a_correction_of_which_some_events_come_twice_is_judged_as_if_each_came_once(
    on: str, at: str, places: list[int], random: Any
) -> None:
    """Whatever is wrong with the restatement, and wherever a copy stands in the file."""
    study = Study()
    study.enrol("2026-01-05")
    study.done("INF1", "2026-01-05")
    wrong = completed(study, "INF2", "2026-01-12", "2026-01-12 12:00")
    stated = [wrong, study.void(wrong, "2026-01-13 11:00"), completed(study, "INF2", on, at)]
    judge_all = partial(judge, study.protocol, list(study.log), now=study.instant("2026-03-01"))
    batch = stated + [stated[place] for place in places]
    random.shuffle(batch)
    firsts = list(dict.fromkeys(batch))
    assert judge_all(batch=batch).accepted == judge_all(batch=firsts).accepted
