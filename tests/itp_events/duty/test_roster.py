"""Who is on duty: rotas, exceptions, absences, deputies and theirs, circles, accounts that do not count."""

from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itp_events.duty.ahead import GAP_DAYS, absent_deputies, days_from, gaps_ahead, look_ahead
from itp_events.duty.answering import answer
from itp_events.duty.changes import (
    Absent,
    Back,
    Change,
    DutyException,
    DutyVoided,
    Entry,
    Rota,
    RotaEnded,
    read_change,
    write_change,
)
from itp_events.duty.roster import Missing, Roster, roster
from itp_events.errors import BadInput
from itp_events.protocol.file import load_protocol
from itp_events.protocol.model import Audience

pytestmark = pytest.mark.requirement("DTY-01")

MONDAY = date(2026, 1, 5)
DAILY = tuple(range(1, 8))
LADDER = load_protocol().ladder


def day(number: int) -> date:
    return MONDAY + timedelta(days=number)


def rota(*people: str, days: tuple[int, ...] = DAILY, first: date = MONDAY, site: str | None = "01") -> Rota:
    return Rota(audience="coordinator", site=site, days=days, people=people, first=first)


def away(person: str, first: int, last: int | None = None, deputy: str | None = None) -> Absent:
    until = None if last is None else day(last)
    return Absent(person=person, first=day(first), last=until, deputy=deputy)


def stated(*changes: Change, inactive: tuple[str, ...] = ()) -> Roster:
    return roster([Entry(number, change) for number, change in enumerate(changes, 1)], inactive)


def people(found: Roster, number: int = 0, site: str = "01") -> tuple[str, ...] | None:
    duty = found.on_duty("coordinator", site, day(number))
    return None if duty.planned is None else duty.people


def test_without_a_rota_nobody_is_named() -> None:
    assert people(stated()) is None
    assert people(stated(rota("li", first=day(3)))) is None
    assert people(stated(rota("li")), site="02") is None


def test_a_rota_plans_days_of_the_week_and_leaves_the_others_empty() -> None:
    found = stated(rota("li", days=(1, 2, 3, 4, 5)), rota("wang", days=(6,)))
    assert [people(found, number) for number in range(7)] == [("li",)] * 5 + [("wang",), ()]


def test_of_two_rotas_the_one_that_begins_later_holds_whichever_was_stated_first() -> None:
    found = stated(rota("wang", first=day(7)), rota("li"))
    assert (people(found, 6), people(found, 7)) == (("li",), ("wang",))


def test_a_rota_of_all_sites_holds_where_a_site_has_none() -> None:
    found = stated(rota("li", site=None), rota("wang", site="02"))
    assert (people(found, site="01"), people(found, site="02")) == (("li",), ("wang",))


def test_a_rota_that_ended_leaves_none() -> None:
    found = stated(rota("li"), RotaEnded(audience="coordinator", site="01", first=day(3)))
    assert (people(found, 2), people(found, 3)) == (("li",), None)


def test_an_exception_holds_on_its_days_whatever_the_rota_says() -> None:
    instead = DutyException(audience="coordinator", site="01", people=("wang",), first=day(1), last=day(2))
    found = stated(rota("li"), instead)
    assert [people(found, number) for number in range(4)] == [("li",), ("wang",), ("wang",), ("li",)]


def test_a_deputy_answers_on_both_ends_of_an_absence() -> None:
    found = stated(rota("li"), away("li", 1, 2, "wang"))
    assert [people(found, number) for number in range(4)] == [("li",), ("wang",), ("wang",), ("li",)]


def test_a_deputy_who_is_away_has_a_deputy() -> None:
    found = stated(rota("li"), away("li", 0, 5, "wang"), away("wang", 0, 3, "zhao"))
    assert (people(found, 3), people(found, 4)) == (("zhao",), ("wang",))
    assert found.on_duty("coordinator", "01", MONDAY).covers == (("zhao", "li"),)


def test_deputies_in_a_circle_are_nobody() -> None:
    found = stated(rota("li"), away("li", 0, 5, "wang"), away("wang", 0, 5, "li"))
    assert people(found) == ()
    assert found.on_duty("coordinator", "01", MONDAY).missing == (Missing("li", "away", day(5)),)


def test_of_two_absences_at_once_the_deputy_who_is_there_answers() -> None:
    found = stated(rota("li"), away("li", 0, 9, "wang"), away("li", 2, 5, "zhao"), away("zhao", 4, None))
    assert [people(found, number) for number in (1, 3, 4)] == [("wang",), ("zhao",), ("wang",)]


def test_an_account_that_is_not_active_is_never_on_duty() -> None:
    assert people(stated(rota("li", "wang"), inactive=("LI",))) == ("wang",)
    found = stated(rota("li"), away("li", 0, 5, "wang"), inactive=("wang",))
    assert people(found) == ()


def test_who_is_back_is_on_duty_and_away_again_in_a_later_absence() -> None:
    found = stated(
        rota("li"), away("li", 0, None, "wang"), away("li", 10, 12, "wang"), Back(person="li", on=day(3))
    )
    assert [people(found, number) for number in (2, 3, 10)] == [("wang",), ("li",), ("wang",)]


def test_what_is_taken_back_never_counted() -> None:
    found = stated(rota("li"), away("li", 0, 5, "wang"), DutyVoided(change=2, reason="the wrong week"))
    assert people(found) == ("li",)


def test_days_in_a_row_without_anybody_are_one_gap() -> None:
    found = stated(rota("li", days=(1, 2, 3, 4, 5)), away("li", 3, 3))
    gaps = list(gaps_ahead(found, "coordinator", "01", days_from(MONDAY, 9)))
    assert [(gap.first, gap.last, gap.missing) for gap in gaps] == [
        (day(3), day(3), (Missing("li", "away", day(3)),)),
        (day(5), day(6), ()),
    ]


def test_a_deputy_who_is_away_too_is_found_ahead() -> None:
    found = stated(rota("li"), away("li", 2, 9, "wang"), away("wang", 5, 6))
    [(absence, first)] = absent_deputies(found, days_from(MONDAY, 20))
    assert (absence.person, first) == ("li", day(5))


@pytest.mark.requirement("DTY-02")
def test_where_nobody_is_on_duty_the_next_rung_is_told_with_the_reason() -> None:
    found = stated(rota("li"), away("li", 0, 5))
    told = answer(found, LADDER, "coordinator", "01", MONDAY, lambda _: True)
    assert (told.audience, told.people) == ("investigator", None)
    assert [(gap.audience, gap.missing) for gap in told.gaps] == [
        ("coordinator", (Missing("li", "away", day(5)),))
    ]


@pytest.mark.requirement("DTY-02")
def test_behind_the_last_rung_stand_operations_and_all_of_them() -> None:
    nobody = [
        Rota(audience=audience, days=DAILY, people=(), first=MONDAY)
        for audience in ("coordinator", "investigator", "sponsor", "ops")
    ]
    told = answer(stated(*nobody), LADDER, "coordinator", "01", MONDAY, lambda _: True)
    assert (told.audience, told.people) == ("ops", None)
    assert [gap.audience for gap in told.gaps] == ["coordinator", "investigator", "sponsor", "ops"]


@pytest.mark.requirement("DTY-02")
def test_who_cannot_be_reached_is_not_counted_on() -> None:
    found = stated(rota("li", "wang"))
    told = answer(found, LADDER, "coordinator", "01", MONDAY, lambda person: person == "wang")
    assert (told.people, told.gaps) == (("wang",), ())
    told = answer(found, LADDER, "coordinator", "01", MONDAY, lambda _: False)
    assert told.audience == "investigator"
    assert told.gaps[0].missing == (Missing("li", "no-address"), Missing("wang", "no-address"))


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"what": "absent", "person": "li", "first": "2026-01-05", "last": "2026-01-04"}, "before the first"),
        ({"what": "absent", "person": "li", "first": "2026-01-05", "deputy": "LI"}, "their own deputy"),
        ({"what": "rota", "audience": "nurse", "days": [1], "people": [], "first": "2026-01-05"}, "audience"),
        ({"what": "rota", "audience": "ops", "days": [8], "people": [], "first": "2026-01-05"}, "days"),
        (
            {"what": "rota", "audience": "ops", "days": [1], "people": ["a b"], "first": "2026-01-05"},
            "people",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_field(said: dict[str, object], problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        read_change(said)


PEOPLE = ("ann", "bob", "cai", "dan")
_person = st.sampled_from(PEOPLE)
_site = st.sampled_from(("01", "02", None))
_date = st.integers(0, 20).map(day)
_audience: st.SearchStrategy[Audience] = st.sampled_from(
    ("coordinator", "investigator", "sponsor", "cell-lab", "ops")
)
_some = st.lists(_person, max_size=3).map(tuple)


@st.composite
def _absences(draw: st.DrawFn) -> Absent:
    first, length = draw(st.integers(0, 20)), draw(st.none() | st.integers(0, 8))
    person = draw(_person)
    deputy = draw(st.none() | st.sampled_from([each for each in PEOPLE if each != person]))
    return away(person, first, None if length is None else first + length, deputy)


@st.composite
def _exceptions(draw: st.DrawFn) -> DutyException:
    first = draw(_date)
    last = first + timedelta(days=draw(st.integers(0, 5)))
    return DutyException(
        audience=draw(_audience), site=draw(_site), people=draw(_some), first=first, last=last
    )


_changes = st.one_of(
    st.builds(
        Rota,
        audience=_audience,
        site=_site,
        days=st.lists(st.integers(1, 7), min_size=1, max_size=7).map(tuple),
        people=_some,
        first=_date,
    ),
    st.builds(RotaEnded, audience=_audience, site=_site, first=_date),
    _exceptions(),
    _absences(),
    st.builds(Back, person=_person, on=_date),
    st.builds(DutyVoided, change=st.integers(1, 12), reason=st.just("an error")),
)
_rosters = st.builds(
    lambda changes, inactive: stated(*changes, inactive=tuple(inactive)),
    st.lists(_changes, max_size=12),
    st.sets(_person, max_size=2),
)


def moments() -> Iterator[tuple[str, date]]:
    return ((site, day(number)) for site in ("01", "02") for number in range(0, 24, 3))


@given(_rosters, _audience)
def test_nobody_who_is_away_is_ever_on_duty(found: Roster, audience: str) -> None:
    for site, on in moments():
        duty = found.on_duty(audience, site, on)
        assert not [person for person in duty.people if found.is_away(person, on)]
        assert len(set(duty.people)) == len(duty.people)


@given(_rosters, _audience)
def test_what_is_seen_ahead_is_what_holds_on_each_day(found: Roster, audience: str) -> None:
    for site, on in (("01", MONDAY), ("02", day(10))):
        seen = look_ahead(found, audience, site, on)
        assert seen.on_duty == found.on_duty(audience, site, on)
        empty = {day for gap in seen.gaps for day in days_from(gap.first, (gap.last - gap.first).days + 1)}
        assert empty == {day for day in days_from(on, GAP_DAYS) if found.on_duty(audience, site, day).nobody}


@given(_rosters, _audience)
def test_everybody_who_is_planned_is_there_covered_or_missing(found: Roster, audience: str) -> None:
    for site, on in moments():
        duty = found.on_duty(audience, site, on)
        covered = {planned for _, planned in duty.covers}
        missing = {each.person for each in duty.missing}
        assert covered | missing == set(duty.planned or ())
        assert not covered & missing
        assert {who for who, _ in duty.covers} == set(duty.people)


@given(_rosters, _audience, st.sets(_person))
def test_a_notice_always_finds_somebody_and_every_gap_has_its_alarm(
    found: Roster, audience: str, reachable: set[str]
) -> None:
    for site, on in moments():
        told = answer(found, LADDER, audience, site, on, reachable.__contains__)
        if told.people is not None:
            assert told.people
            assert set(told.people) <= reachable
            assert not [person for person in told.people if found.is_away(person, on)]
        assert told.gaps or told.audience == audience
        assert audience not in [gap.audience for gap in told.gaps] or told.gaps[0].audience == audience


@given(st.lists(_changes, max_size=12))
def test_a_change_is_read_back_as_it_was_written(changes: list[Change]) -> None:
    assert [read_change(write_change(each)) for each in changes] == changes
