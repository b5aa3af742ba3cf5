"""A simulated study: totals that add up, the same seed the same bytes, every event permitted by the rules."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from deployments.simulation.engine import HORIZON, Step, follow
from deployments.simulation.files import events_jsonl, notices_csv
from deployments.simulation.people.behaviour import Outage
from deployments.simulation.people.behaviour_file import NAMES
from deployments.simulation.record import Notice
from deployments.simulation.replayable import overtaken
from deployments.simulation.study_run import Run, simulate
from deployments.simulation.summary import summary
from itp_events.decisions import Decision
from itp_events.events import Booked, Event
from itp_events.intake.batch import judge
from itp_events.outputs.plan import plan
from itp_events.protocol.file import BUILT_IN, load_protocol
from itp_events.protocol.model import Protocol
from itp_events.rules.keys import about, named
from tests.deployments.simulation.runs import numbers, run, study

pytestmark = pytest.mark.requirement("SIM-01")


@pytest.mark.parametrize("scenario", NAMES)
def test_every_subject_ends_or_waits_for_a_named_person_who_was_reminded_lately(scenario: str) -> None:
    for record in run(scenario).records:
        if record.enrolled is None:
            assert record.not_eligible
        elif record.ended is None:
            reminded = max(notice.sent for notice in record.notices if notice.sent)
            assert reminded > record.enrolled + HORIZON - timedelta(days=21)
            assert record.state.startswith(("On hold", "Awaiting disposition"))


@pytest.mark.parametrize("scenario", NAMES)
def test_every_notice_belongs_to_a_visit_or_to_an_event_of_its_subject(scenario: str) -> None:
    for record in run(scenario).records:
        events = {named(event.key) for event in record.facts}
        visits = {visit.code for visit in record.visits}
        for notice in record.notices:
            name = about(notice.row)
            dated = notice.step == "death-unrecorded"  # one for each working day, whichever event it is about
            assert notice.visit in visits or name in events or name.startswith("itp:") or dated, notice.row


@pytest.mark.parametrize("scenario", NAMES)
def test_the_totals_add_up(scenario: str) -> None:
    n = numbers(scenario)
    assert n["enrolled"] + n["refused_at_enrolment"] == n["subjects"] == 8
    assert sum(n["subjects_by_state"].values()) == n["subjects"]
    assert n["ended"] + len(n["waiting"]) == n["enrolled"]
    notices = n["notices"]
    assert notices["sent"] + notices["never_sent"] == notices["issued"]
    assert notices["about_a_visit"] + notices["about_an_event"] == notices["issued"]
    for split in ("by_kind", "by_audience", "by_step"):
        assert sum(notices[split].values()) == notices["sent"]
    assert sum(week["total"] for week in n["messages_per_week"].values()) == notices["sent"]
    for visit in n["visits"]:
        parts = ("in_window", "out_of_window", "missed", "cancelled", "not_reached")
        assert sum(visit[part] for part in parts) == visit["planned"] == n["enrolled"]


@pytest.fixture(scope="module")
def simulated() -> Run:
    """The first subjects of a study, followed one after the other, as `itp simulate` does."""
    return simulate(study("unreliable"), 6)


def test_the_same_seed_gives_the_same_bytes(simulated: Run) -> None:
    one, other = run("unreliable", 6), simulated
    assert events_jsonl(one) == events_jsonl(other)
    assert notices_csv(one) == notices_csv(other)


def test_another_seed_gives_another_study() -> None:
    assert events_jsonl(run("typical", 3, 1)) != events_jsonl(run("typical", 3, 2))


def test_more_subjects_change_nothing_for_the_first_ones(simulated: Run) -> None:
    alone = follow(study("unreliable"), 4)
    assert alone.lines == simulated.records[4].lines


def test_when_all_goes_well_a_visit_is_outside_its_window_only_where_that_holds_no_working_day() -> None:
    n = numbers("perfect")
    workdays = run("perfect").study.protocol.site("01").workdays
    for visit in (visit for record in run("perfect").records for visit in record.visits):
        assert not visit.deviation or workdays.nearest(visit.target, visit.opens, visit.closes) is None
    assert n["subjects_by_state"] == {"Completed": 8}
    assert n["refused_events"] == {}


def test_nothing_leaves_during_an_outage_and_no_burst_follows_it() -> None:
    found = run("outage")
    start = found.study.protocol.site("01").midnight(found.study.start + timedelta(days=65))
    end = start + timedelta(days=7)
    sent = [notice.sent for record in found.records for notice in record.notices if notice.sent]
    assert not [at for at in sent if start <= at < end]
    first_hour = [
        notice
        for record in found.records
        for notice in record.notices
        if notice.sent and end <= notice.sent < end + timedelta(hours=1) and notice.kind == "reminder"
    ]
    told = [(notice.subject, notice.visit, notice.audience) for notice in first_hour]
    assert len(told) == len(set(told))


def test_an_outage_that_begins_in_another_lasts_to_its_own_end() -> None:
    first, second = Outage(from_day=3, days=7), Outage(from_day=8, days=7)
    ours = replace(study(), behaviour=study().behaviour.model_copy(update={"outages": (second, first)}))
    midnight = ours.protocol.site("01").midnight
    assert ours.awake(midnight(ours.start + timedelta(days=4))) == midnight(ours.start + timedelta(days=15))


def test_only_what_people_stated_counts_as_an_answer() -> None:
    for record in run("unreliable").records:
        stated = {event.time for event in record.facts}
        assert all(wait.until in stated for wait in record.waits if wait.until)


def test_whom_else_a_protocol_tells_is_counted_too(tmp_path: Path) -> None:
    text = BUILT_IN.read_text(encoding="utf-8")
    row = "exit: {audiences: [investigator,"
    file = tmp_path / "protocol.yaml"
    assert row in text
    file.write_text(text.replace(row, "exit: {audiences: [ops, investigator,"), encoding="utf-8")
    n = summary(simulate(study("perfect", protocol=file), 2))
    assert n["messages_per_week"]["ops"]["total"] == 2
    assert sum(week["total"] for week in n["messages_per_week"].values()) == n["notices"]["sent"]


def test_around_long_holidays_more_visits_are_late() -> None:
    def late(scenario: str) -> int:
        visits = [visit for record in run(scenario, 16).records for visit in record.visits]
        return sum(bool(visit.deviation) for visit in visits)

    assert late("holiday-season") > late("typical")


@pytest.mark.parametrize("scenario", NAMES)
def test_a_plan_of_the_whole_file_accepts_every_event(scenario: str) -> None:
    protocol = load_protocol()
    for record in run(scenario).records:
        if record.enrolled is None:
            continue
        later = record.enrolled + 2 * HORIZON
        verdicts = judge(protocol, [], record.facts, later).verdicts
        assert [str(verdict.error) for verdict in verdicts if verdict.error] == []
        assert plan(protocol, record.facts, later).decision.state == record.state


def test_what_a_late_record_overtakes_is_left_unsaid_so_that_one_file_holds_the_course() -> None:
    unreliable, number = study("unreliable"), 15
    watched = follow(unreliable, number, Blind())
    said = {event.id for event in follow(unreliable, number).facts}
    assert overtaken(unreliable.protocol, watched) == {"SIM-0016/rescue-2"}
    assert {event.id for event in watched.facts} - said == {"SIM-0016/rescue-2"}


class Blind:
    """Looks on and sees nothing."""

    def step(self, protocol: Protocol, step: Step) -> None:
        """Nothing to say."""

    def hand_over(self, notice: Notice, decision: Decision) -> None:
        """Nothing to say."""


def test_events_recorded_one_by_one_in_the_order_of_the_file_are_all_accepted() -> None:
    protocol = load_protocol()
    for record in run("unreliable", 6).records:
        log: list[Event] = []
        for at in dict.fromkeys(event.time for event in record.facts):
            batch = [event for event in record.facts if event.time == at]
            judged = judge(protocol, log, batch, at)
            assert len(judged.accepted) == len(batch)
            log += judged.accepted


def test_a_booking_is_stated_before_its_date() -> None:
    facts = [event for record in run().records for event in record.facts]
    bookings = [(event.time, event.data) for event in facts if isinstance(event.data, Booked)]
    assert bookings
    site = run().study.protocol.site("01")
    assert all(site.date_of(time) < data.on for time, data in bookings)


def test_a_run_of_nobody_who_is_eligible_still_has_figures() -> None:
    refused = [record for record in run("typical", 16).records if record.enrolled is None]
    assert refused, "the scenario refuses some"
    found = summary(type(run())(run().study, tuple(refused)))
    assert found["enrolled"] == found["notices"]["sent"] == 0
