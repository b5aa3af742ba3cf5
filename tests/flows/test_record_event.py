"""Forms and events as doors: executed again they count once, and the run shows what became of each."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from prefect import State
from prefect.client.schemas.objects import StateType
from sqlalchemy.exc import OperationalError

from deployments.bootstrap.clock import Clock
from deployments.prefect.deployments import FLOWS
from deployments.service.runner import Runner, shared_clients
from flows.prefect_api.flow_runs import RECORD_EVENT, Deployment, FlowRun, FlowRuns, scheduled
from flows.record_event import FIRST, GIVE_UP, LONGEST, SOON
from flows.study import runtime
from flows.study.runtime import Runtime
from itp_events.events import ContactAgreed, Event, parse_event
from itp_events.protocol.file import load_protocol
from tasks.advance import Answer
from tasks.database.queries import log_lines
from tasks.database.store import Store
from tasks.delivery.channels import Channels
from tests.support.damage import damage_log
from tests.support.service import SITE, enrolment

pytestmark = pytest.mark.requirement("RUN-09")

CODE = "ITP-001"
FORM = "adverse-event"


@dataclass(frozen=True)
class Faulty(Runtime):
    """A study whose door raises an error as often as a test says, before it works again."""

    faults: list[Exception] = field(default_factory=list, kw_only=True)

    def record(self, events: Any, now: datetime, **how: Any) -> list[Answer]:
        """Raise the next error, if there is one, before anything is recorded."""
        if self.faults:
            raise self.faults.pop()
        return super().record(events, now, **how)


@dataclass
class Later(Clock):
    """A clock that a test sets forward, for the study and for Prefect alike."""

    shift: timedelta = timedelta()

    def now(self) -> datetime:
        return super().now() + self.shift


@pytest.fixture
def study(sqlite_url: str, prefect_api: str) -> Iterator[Faulty]:
    """A study in which a subject is enrolled, and which the flows find."""
    store = Store.open(sqlite_url)
    opened = Faulty(store, load_protocol(), Channels.from_config(None), Later(), prefect_api)
    now = opened.clock.now()
    [answer] = opened.record([parse_event(enrolment(CODE, now, now.astimezone(SITE).date()))], now)
    assert answer.status == "recorded", answer.error
    runtime.use(lambda: opened)
    yield opened
    runtime.use(lambda: pytest.fail("no study is open"))
    store.close()


@pytest.fixture
def prefect_api(runs: FlowRuns, journeys: Deployment) -> str:
    """The address of a Prefect that knows the flows."""
    return runs.api


def filled_in(study: Runtime, runs: FlowRuns, name: str = FORM, **fields: Any) -> FlowRun:
    """A form, at first one that reports a serious adverse event, which waits to be executed."""
    form = runs.deployment(name)
    assert form is not None
    on = study.clock.now().astimezone(SITE).date()
    report = {"ae": "AE-1", "term": "Fever", "grade": 3, "serious": True, "related": False}
    given = {"subject": CODE, "by": "crc-01", "on": f"{on}"} | (report if name == FORM else {}) | fields
    return runs.create_named(form, uuid4().hex, given, scheduled(study.clock.now()))


def posted(runs: FlowRuns, event: dict[str, Any]) -> FlowRun:
    """A run of `record-event` that waits to be executed."""
    deployment = runs.deployment(RECORD_EVENT)
    assert deployment is not None
    return runs.create_named(deployment, uuid4().hex, {"event": event}, scheduled(Clock().now()))


def execute(runs: FlowRuns, run: FlowRun, flow: str = FORM, times: int = 1) -> list[State[Any]]:
    """Execute a run as often as a process died before it could tell Prefect of the end."""

    async def all_of_them() -> list[State[Any] | None]:
        runner = Runner(runs)
        async with shared_clients():
            ends = []
            for _ in range(times):
                runs.force(run.id, scheduled(Clock().now()))
                ends.append(await runner.run(FLOWS[flow], run, Clock().now()))
            return ends

    return [end for end in asyncio.run(all_of_them()) if end is not None]


def after(study: Faulty, waited: timedelta) -> None:
    """Let so much time pass."""
    assert isinstance(study.clock, Later)
    study.clock.shift = waited


def planned_for(state: State[Any]) -> datetime:
    """The instant for which a run is planned."""
    assert state.state_details.scheduled_time is not None
    return datetime.fromisoformat(f"{state.state_details.scheduled_time}")


def reports(study: Runtime) -> list[Event]:
    """The adverse events that are recorded."""
    lines = log_lines(study.store, CODE)
    return [line.event for line in lines if line.event.type == "itp.adverse-event.reported"]


def test_a_form_that_is_executed_again_is_recorded_once_and_says_so_each_time(
    study: Faulty, runs: FlowRuns
) -> None:
    run = filled_in(study, runs)
    ends = execute(runs, run, times=3)
    assert [(end.type, end.name) for end in ends] == [(StateType.COMPLETED, "Recorded")] * 3
    [event] = reports(study)
    assert (event.source, event.id) == ("prefect-form", str(run.id))


@pytest.mark.parametrize(
    ("fields", "agreement"),
    [
        ({"agreed": True, "language": "zh-CN"}, (True, "zh-CN")),
        ({"agreed": True}, (True, None)),
        ({"agreed": False}, (False, None)),
    ],
)
def test_a_subjects_agreement_to_reminders_is_recorded_by_a_form(
    study: Faulty, runs: FlowRuns, fields: dict[str, Any], agreement: tuple[bool, str | None]
) -> None:
    [end] = execute(runs, filled_in(study, runs, "reminders", **fields), "reminders")
    assert (end.type, end.name) == (StateType.COMPLETED, "Recorded")
    last = log_lines(study.store, CODE)[-1].event.data
    assert isinstance(last, ContactAgreed)
    assert (last.agreed, last.language) == agreement


def test_a_form_is_reported_when_it_was_filled_in_however_late_it_is_executed(
    study: Faulty, runs: FlowRuns
) -> None:
    """A safety clock runs from the report: it must not begin anew after an outage."""
    run = filled_in(study, runs)
    after(study, timedelta(hours=3))
    execute(runs, run)
    [event] = reports(study)
    assert event.time == run.created


def test_a_form_waits_for_a_database_that_does_not_answer_and_is_recorded_then(
    study: Faulty, runs: FlowRuns
) -> None:
    run = filled_in(study, runs)
    study.faults.append(OperationalError("record", {}, OSError("the database system is starting up")))
    waiting, recorded = execute(runs, run, times=2)
    assert (waiting.type, waiting.name) == (StateType.SCHEDULED, "Waiting for the database")
    assert waiting.message == "not recorded yet: the database system is starting up"
    assert run.created is not None
    assert planned_for(waiting) - run.created < SOON + timedelta(minutes=1)
    assert recorded.name == "Recorded"
    assert len(reports(study)) == 1


@pytest.mark.parametrize(
    ("waited", "pause"),
    [(timedelta(), FIRST), (timedelta(minutes=4), timedelta(minutes=4)), (timedelta(hours=9), LONGEST)],
)
def test_a_form_that_meets_a_fault_of_the_program_is_tried_again_less_and_less_often(
    study: Faulty, runs: FlowRuns, waited: timedelta, pause: timedelta
) -> None:
    run = filled_in(study, runs)
    after(study, waited)
    study.faults.append(ZeroDivisionError("a fault in the program"))
    [end] = execute(runs, run)
    assert (end.type, end.name) == (StateType.SCHEDULED, "Trying again")
    assert end.message == "not recorded: ZeroDivisionError: a fault in the program"
    assert run.created is not None
    planned = planned_for(end) - run.created
    assert abs(planned - waited - pause) < timedelta(minutes=1)


def test_a_fault_that_lasts_ends_in_a_state_that_asks_to_state_it_again(
    study: Faulty, runs: FlowRuns
) -> None:
    run = filled_in(study, runs)
    after(study, GIVE_UP)
    study.faults.append(ZeroDivisionError("a fault in the program"))
    [end] = execute(runs, run)
    assert (end.type, end.name) == (StateType.FAILED, "Not recorded")
    assert end.message is not None
    assert end.message.endswith("state it again")


def test_a_form_whose_line_is_damaged_afterwards_is_named_in_one_line(
    study: Faulty, runs: FlowRuns, caplog: pytest.LogCaptureFixture
) -> None:
    run = filled_in(study, runs)
    execute(runs, run)
    [stated] = reports(study)
    [seq] = [line.seq for line in log_lines(study.store, CODE) if line.event == stated]
    damage_log(study.store, CODE, seq, "not json")
    [end] = execute(runs, run)
    assert (end.type, end.name) == (StateType.SCHEDULED, "Trying again")
    [said] = [record for record in caplog.records if record.name == "flows.record_event"]
    assert str(run.id) in said.getMessage()
    assert f"ITP-001 cannot be read: line {seq} of its log is damaged" in said.getMessage()
    assert said.exc_info is None


def test_what_was_recorded_of_a_form_is_not_taken_for_what_it_says_now(study: Faulty, runs: FlowRuns) -> None:
    run = filled_in(study, runs)
    execute(runs, run)
    altered = replace(run, parameters=run.parameters | {"serious": False})
    [end] = execute(runs, altered)
    assert (end.type, end.name) == (StateType.FAILED, "Refused")
    [event] = reports(study)
    assert event.data.model_dump()["serious"] is True


def test_a_posted_event_that_is_executed_again_is_known(study: Faulty, runs: FlowRuns) -> None:
    now = study.clock.now()
    event = enrolment("ITP-002", now, now.astimezone(SITE).date())
    ends = execute(runs, posted(runs, event), RECORD_EVENT, times=2)
    assert [end.name for end in ends] == ["Recorded", "Known"]
