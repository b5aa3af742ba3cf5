"""Reminders to the subjects themselves: only who agreed, only of agreed days, by day, and none in vain."""

from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itp_events.errors import BadProtocol, Refused
from itp_events.events import NoticeIssued
from itp_events.protocol.file import BUILT_IN, load_protocol, parse_protocol
from itp_events.protocol.model import PARTICIPANT
from tests.itp_events.journey import Journey
from tests.support.participants import EXAMPLE, add_participant, reminding
from tests.support.study import Json, altered

pytestmark = pytest.mark.requirement("SUB-01")


def agreed(on: str = "2026-01-05", **data: object) -> Journey:
    """A subject of 5 January who agreed to reminders; INF2 is due on the 12th."""
    study = Journey(protocol=reminding())
    study.enrol(on)
    study.state("itp.contact.agreed", on, f"{on} 11:30", agreed=True, **data)
    study.done("INF1", on, at=f"{on} 12:00")
    return study


def told(study: Journey) -> list[tuple[str, str | None, str, str]]:
    """What the subject was told: when, of which visit, which step, and the day."""
    return [
        (study.local(event.time), data.visit, data.step, data.facts["t"])
        for event, data in study.notices()
        if data.audience == PARTICIPANT
    ]


def issued(study: Journey, step: str) -> list[NoticeIssued]:
    return [data for _, data in study.notices(step)]


def test_who_agreed_is_reminded_three_days_and_one_day_before_a_booked_visit() -> None:
    study = agreed()
    study.booked("INF2", "2026-01-13", at="2026-01-06")
    study.until("2026-01-14")
    assert told(study) == [
        (
            "2026-01-10 10:00",
            "INF2",
            "in-3-days",
            "2026-01-13",
        ),  # a Saturday: the subject's days, not the site's
        ("2026-01-12 10:00", "INF2", "tomorrow", "2026-01-13"),
    ]


def test_nobody_is_reminded_without_an_agreement() -> None:
    study = Journey(protocol=reminding())
    study.enrol()
    study.done("INF1", "2026-01-05")
    study.booked("INF2", "2026-01-13", at="2026-01-06")
    study.until("2026-01-14")
    assert told(study) == []


def test_the_built_in_protocol_reminds_no_subject() -> None:
    """Messages to subjects need the approval of the ethics committee, with the protocol that says so."""
    assert load_protocol().participant is None
    study = Journey()
    study.enrol()
    study.state("itp.contact.agreed", "2026-01-05", agreed=True)
    study.done("INF1", "2026-01-05")
    study.booked("INF2", "2026-01-13", at="2026-01-06")
    study.until("2026-01-14")
    assert told(study) == []


def test_a_day_that_was_not_agreed_with_the_subject_is_never_told() -> None:
    study = agreed()
    study.until("2026-01-14")
    assert told(study) == []


def test_the_day_of_the_first_infusion_may_be_agreed_at_enrolment() -> None:
    study = Journey(protocol=reminding())
    study.enrol("2026-01-05", first_infusion_on="2026-01-09")
    study.state("itp.contact.agreed", "2026-01-05", agreed=True)
    study.until("2026-01-10")
    assert told(study) == [
        ("2026-01-06 10:00", "INF1", "in-3-days", "2026-01-09"),
        ("2026-01-08 10:00", "INF1", "tomorrow", "2026-01-09"),
    ]


def test_a_reminder_moves_with_the_booking() -> None:
    study = agreed()
    study.booked("INF2", "2026-01-12", at="2026-01-06")
    study.booked("INF2", "2026-01-13", at="2026-01-09 12:00")
    study.until("2026-01-14")
    assert [(at, t) for at, _, _, t in told(study)] == [
        ("2026-01-09 10:00", "2026-01-12"),
        ("2026-01-10 10:00", "2026-01-13"),
        ("2026-01-12 10:00", "2026-01-13"),
    ]


def test_a_booking_that_comes_late_in_the_day_is_not_reminded_of_at_night() -> None:
    study = agreed()
    study.booked("INF2", "2026-01-12", at="2026-01-11 20:00")
    study.until("2026-01-13")
    assert told(study) == []


def test_a_reminder_that_could_not_leave_on_its_day_is_not_sent_later() -> None:
    study = agreed()
    study.booked("INF2", "2026-01-13", at="2026-01-06")
    study.until("2026-01-09")
    study.awake = False
    study.until("2026-01-10 20:00")
    study.until("2026-01-14")
    assert [step for _, _, step, _ in told(study)] == ["tomorrow"]


@pytest.mark.parametrize(
    "ends",
    [
        lambda study: study.state("itp.contact.agreed", "2026-01-11", agreed=False),
        lambda study: study.withdrew("2026-01-11"),
        lambda study: study.withdrew("2026-01-11", scope="treatment"),
        lambda study: study.done("INF2", "2026-01-11"),
        lambda study: study.missed("INF2", "2026-01-11"),
        lambda study: study.medication("prohibited", "2026-01-11"),
        lambda study: study.died("2026-01-11"),
        lambda study: study.adverse_event("2026-01-11", grade=5, serious=True),
        lambda study: study.state(
            "itp.visit.answered", "2026-01-13", "2026-01-11", visit="INF2", answer="not-coming"
        ),
        lambda study: study.voided(
            next(each for each in study.log if each.type == "itp.visit.booked"), "2026-01-11"
        ),
    ],
    ids=["stop", "withdrawn", "treatment", "done", "missed", "hold", "died", "fatal", "cannot", "unbooked"],
)
def test_no_reminder_follows_what_makes_it_pointless(ends: object) -> None:
    study = agreed()
    study.booked("INF2", "2026-01-13", at="2026-01-06")
    study.until("2026-01-10 12:00")
    ends(study)  # type: ignore[operator]
    study.until("2026-01-20")
    assert [step for _, _, step, _ in told(study)] == ["in-3-days"]


def test_who_says_stop_and_agrees_again_on_the_same_day_is_not_told_twice() -> None:
    study = agreed()
    study.booked("INF2", "2026-01-13", at="2026-01-06")
    study.state("itp.contact.agreed", "2026-01-10", "2026-01-10 11:00", agreed=False)
    study.state("itp.contact.agreed", "2026-01-10", "2026-01-10 12:00", agreed=True)
    study.until("2026-01-11")
    assert len(told(study)) == 1


def test_a_day_that_was_moved_and_moved_back_is_told_anew_when_the_other_was_told() -> None:
    study = agreed()
    study.booked("INF2", "2026-01-13", at="2026-01-06")
    study.booked("INF2", "2026-01-11", at="2026-01-10 12:00")
    study.booked("INF2", "2026-01-13", at="2026-01-10 13:00")
    study.until("2026-01-11")
    assert [(at, t) for at, _, _, t in told(study)] == [
        ("2026-01-10 10:00", "2026-01-13"),
        ("2026-01-10 12:00", "2026-01-11"),
        ("2026-01-10 13:00", "2026-01-13"),
    ]


@pytest.mark.requirement("SUB-02")
def test_a_reminder_holds_the_day_and_the_language_and_nothing_of_the_study() -> None:
    study = agreed(language="zh-CN")
    study.booked("INF2", "2026-01-13", at="2026-01-06")
    study.until("2026-01-14")
    assert [data.facts for data in issued(study, "tomorrow")] == [{"t": "2026-01-13", "language": "zh-CN"}]


@pytest.mark.requirement("SUB-03")
def test_who_cannot_come_is_a_task_for_the_coordinator_until_the_visit_is_booked_anew() -> None:
    study = agreed()
    study.booked("INF2", "2026-01-13", at="2026-01-06")
    study.state("itp.visit.answered", "2026-01-13", "2026-01-10 21:00", visit="INF2", answer="not-coming")
    study.until("2026-01-10 21:01")
    (notice,) = issued(study, "cannot-come")
    assert (notice.audience, notice.visit, notice.facts["t"]) == ("coordinator", "INF2", "2026-01-13")
    study.booked("INF2", "2026-01-12", at="2026-01-10 21:30")
    study.until("2026-01-10 22:00")
    assert "cannot-come" not in [row["step"] for row in study.plan("2026-01-10 22:00")["notices"]]


@pytest.mark.requirement("SUB-03")
def test_the_last_answer_counts() -> None:
    study = agreed()
    study.booked("INF2", "2026-01-13", at="2026-01-06")
    for at, answer in (("10:30", "not-coming"), ("11:30", "coming")):
        study.state("itp.visit.answered", "2026-01-13", f"2026-01-10 {at}", visit="INF2", answer=answer)
    study.until("2026-01-13")
    assert "cannot-come" not in [row["step"] for row in study.plan("2026-01-10 12:00")["notices"]]
    assert [step for _, _, step, _ in told(study)] == ["in-3-days", "tomorrow"]


def test_a_visit_that_is_over_cannot_be_answered() -> None:
    study = agreed()
    with pytest.raises(Refused, match="INF1 is completed"):
        study.state("itp.visit.answered", "2026-01-05", "2026-01-06", visit="INF1", answer="coming")


def test_stop_is_recorded_after_the_end_too() -> None:
    study = agreed()
    study.withdrew("2026-01-07")
    study.state("itp.contact.agreed", "2026-01-08", agreed=False)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('until: "20:00"', 'until: "09:00"', "must be later than 10:00"),
        ("step: tomorrow", "step: in-3-days", "in-3-days stands more than once"),
        ("step: tomorrow", "step: T-3d", "T-3d stands more than once"),
        ("days_before: 1", "visits: [INF9], days_before: 1", "no visit 'INF9'"),
    ],
)
def test_a_rule_that_cannot_hold_is_refused(old: str, new: str, problem: str) -> None:
    added = EXAMPLE.read_text(encoding="utf-8").replace(old, new)
    row, _, section = added.partition("alerts:\n")[2].partition("\n\n")
    text = BUILT_IN.read_text(encoding="utf-8").replace("alerts:\n", f"alerts:\n{row}\n") + section
    with pytest.raises(BadProtocol, match=problem):
        parse_protocol(text, "mine.yaml")


def test_a_protocol_that_reminds_subjects_says_who_is_told_when_one_cannot_come() -> None:
    def without(data: Json) -> None:
        add_participant(data)
        del data["alerts"]["cannot-come"]

    with pytest.raises(ValueError, match="cannot-come missing"):
        altered(without)


_DAYS = st.integers(6, 20)
_HAPPENINGS = st.lists(
    st.one_of(
        st.tuples(st.just("booked"), _DAYS, st.integers(9, 15)),
        st.tuples(st.just("agreed"), _DAYS, st.booleans()),
        st.tuples(st.just("answered"), _DAYS, st.sampled_from(["coming", "not-coming"])),
        st.tuples(st.just("hold"), _DAYS, st.booleans()),
        st.tuples(st.just("done"), _DAYS, st.booleans()),
        st.tuples(st.just("exit"), _DAYS, st.booleans()),
    ),
    max_size=7,
)


def _state(study: Journey, what: str, at: str, value: object) -> None:
    on = at[:10]
    planned = study.plan(at).visit("INF2")
    if what == "booked":
        study.booked("INF2", f"2026-01-{value:02}", at=at)
    elif what == "agreed":
        study.state("itp.contact.agreed", on, at, agreed=value)
    elif what == "answered":
        study.state("itp.visit.answered", planned["booked"] or on, at, visit="INF2", answer=value)
    elif what == "hold":
        study.medication("prohibited", on, at=at)
    elif what == "done":
        study.done("INF2", on, at=at, confirmed=True)
    else:
        study.withdrew(on, at=at)


@settings(max_examples=20, deadline=None)
@given(_HAPPENINGS, st.randoms(use_true_random=False))
def test_whatever_happens_no_reminder_is_in_vain_at_night_or_twice(
    happenings: list[tuple[str, int, object]], random: object
) -> None:
    study = agreed()
    hours = random.choices(range(24), k=len(happenings))  # type: ignore[attr-defined]
    for (what, day, value), hour in sorted(
        zip(happenings, hours, strict=True), key=lambda each: (each[0][1], each[1])
    ):
        try:
            _state(study, what, f"2026-01-{day:02} {hour:02}:00", value)
        except Refused:
            continue
    study.until("2026-01-25")
    seen: list[tuple[str, str]] = []
    for place, event in enumerate(study.log):
        data = event.data
        if not isinstance(data, NoticeIssued) or data.audience != PARTICIPANT:
            continue
        local = event.time.astimezone(study.site.zone)
        assert time(10) <= local.time() < time(20)
        t = date.fromisoformat(data.facts["t"])
        assert local.date() in (t - timedelta(days=1), t - timedelta(days=3))
        _assert_of_use(study, place, t, event.time)
        if (data.step, data.facts["t"]) in seen:
            assert seen[-1] != (data.step, data.facts["t"])
        seen.append((data.step, data.facts["t"]))


def _assert_of_use(study: Journey, place: int, t: date, at: datetime) -> None:
    """What had been stated before a reminder still asks for it."""
    stated = [event for event in study.log[:place] if not event.own]
    last = {event.type: event.data.model_dump(mode="json") for event in stated}
    assert "itp.consent.withdrawn" not in last
    assert all(event.data.visit != "INF2" for event in stated if event.type == "itp.visit.completed")  # type: ignore[attr-defined]
    assert "itp.medication.changed" not in last
    assert last["itp.contact.agreed"]["agreed"]
    assert last["itp.visit.booked"]["on"] == t.isoformat()
    answers = [each.data for each in stated if each.type == "itp.visit.answered"]
    mine = [each.answer for each in answers if each.on == t]  # type: ignore[attr-defined]
    assert mine[-1:] != ["not-coming"]
