"""An event that Prefect has stored gets its run: none is left without, and none gets a second."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deployments.bootstrap.clock import Clock
from deployments.prefect.trigger import TRIGGER
from deployments.service.posted_events import AGAIN_SECONDS, GRACE_SECONDS, WHOLE_SECONDS, PostedEvents
from flows.prefect_api import posted
from flows.prefect_api.flow_runs import (
    RECORD_EVENT,
    Deployment,
    FlowRun,
    FlowRuns,
    PrefectRefused,
    PrefectSilent,
    scheduled,
)
from flows.prefect_api.setup import Setup
from flows.study.runtime import Runtime
from itp_events.events import FACT_TYPES, parse_event
from itp_events.protocol.file import load_protocol
from tasks.database.repairs import latest_repairs
from tasks.database.store import Store
from tasks.delivery.channels import Channels
from tests.flows.conftest import journeys, runs
from tests.support.asking import prefect_at
from tests.support.damage import damage_log
from tests.support.posting import of_kind
from tests.support.service import SITE, enrolment
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("RUN-09", "LOG-02")

__all__ = ["journeys", "runs"]


PROTOCOL = load_protocol()


class Seconds:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.shown = 0.0

    def __call__(self) -> float:
        return self.shown


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def study(sqlite_url: str, runs: FlowRuns) -> Iterator[Runtime]:
    store = Store.open(sqlite_url)
    yield Runtime(store, PROTOCOL, Channels.from_config(None), Clock(), runs.api)
    store.close()


@pytest.fixture
def recording(runs: FlowRuns, journeys: Deployment) -> Deployment:
    """The deployment of `record-event`, without the automation that makes its runs."""
    setup = Setup(runs.api, 30.0)
    setup.delete_automations([body["id"] for body in setup.automations(TRIGGER)])
    setup.close()
    found = runs.deployment(RECORD_EVENT)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store.open(f"sqlite:///{tmp_path_factory.mktemp('store')}/itp.db")
    yield store
    store.close()


@pytest.fixture
def looking(study: Runtime, seconds: Seconds) -> PostedEvents:
    return PostedEvents(study, seconds)


def post(runs: FlowRuns, payload: dict[str, Any], *, occurred: datetime | None = None) -> str:
    """Post an event, wait until Prefect has stored it, and return its id.

    Others come with it, so that Prefect stores them at once.
    """
    at = occurred or Clock().now()
    event = of_kind("itp.subject.enrolled", payload, at)
    others = [of_kind("of.another.program", {}, at) for _ in range(20)]
    with prefect_at(runs.api) as prefect:
        prefect.post("/events", json=[event, *others]).raise_for_status()
    wait_until(lambda: event["id"] in _stored(runs), "Prefect to store the event")
    return str(event["id"])


def _stored(runs: FlowRuns) -> set[str]:
    return {each.id for page in posted.stored_events(runs, FACT_TYPES) for each in page}


def stated(code: str) -> dict[str, Any]:
    now = Clock().now()
    return enrolment(code, now, now.astimezone(SITE).date()) | {"id": f"{uuid.uuid4()}"}


def runs_of(runs: FlowRuns, recording: Deployment, payload: dict[str, Any]) -> list[FlowRun]:
    query = {"flow_runs": {"deployment_id": {"any_": [f"{recording.id}"]}}, "limit": 200}
    found = [FlowRun.of(body) for body in runs.call("POST", "/flow_runs/filter", query)]
    return [run for run in found if run.parameters["event"] == payload]


def mended(study: Runtime) -> list[str]:
    return [each.what for each in latest_repairs(study.store)]


def look_after(
    looking: PostedEvents, seconds: Seconds, runs: FlowRuns, recording: Deployment, *later: float
) -> None:
    """Look again and again, each time so many seconds after the last look."""
    for each in later:
        seconds.shown += each
        looking.bring(runs, recording)


def test_what_has_no_run_gets_one_after_a_while_and_no_second(
    runs: FlowRuns, recording: Deployment, study: Runtime, looking: PostedEvents, seconds: Seconds
) -> None:
    posted_as = post(runs, payload := stated("ITP-001"))
    look_after(looking, seconds, runs, recording, 0)
    look_after(looking, seconds, runs, recording, GRACE_SECONDS - 1)
    assert runs_of(runs, recording, payload) == []
    look_after(looking, seconds, runs, recording, 1)
    [run] = runs_of(runs, recording, payload)
    assert (run.name, run.state_type, run.made_by) == (f"posted {posted_as}", "SCHEDULED", None)
    assert "in Prefect no run had been made of a posted event; made now" in mended(study)
    for again in (looking, PostedEvents(study, seconds)):
        look_after(again, seconds, runs, recording, 0, GRACE_SECONDS)
    assert runs_of(runs, recording, payload) == [run]


@pytest.mark.parametrize("state", ["SCHEDULED", "FAILED", "CANCELLED"])
def test_what_has_a_run_gets_no_other_whatever_came_of_it(
    runs: FlowRuns, recording: Deployment, looking: PostedEvents, seconds: Seconds, state: str
) -> None:
    post(runs, payload := {"nothing": "that can be read", "of": f"{uuid.uuid4()}"})
    run = runs.create_named(recording, f"{uuid.uuid4()}", {"event": payload}, scheduled(Clock().now()))
    runs.force(run.id, {"type": state, "name": state.capitalize()})
    look_after(looking, seconds, runs, recording, 0, GRACE_SECONDS)
    assert [each.id for each in runs_of(runs, recording, payload)] == [run.id]


def test_what_is_recorded_needs_no_run_unless_it_says_something_else(
    runs: FlowRuns, recording: Deployment, study: Runtime, looking: PostedEvents, seconds: Seconds
) -> None:
    post(runs, payload := stated("ITP-001"))
    other = payload | {"data": payload["data"] | {"weight_kg": 71.5}}
    post(runs, other)
    [answer] = study.record([parse_event(payload)], study.clock.now())
    assert answer.error is None
    look_after(looking, seconds, runs, recording, 0, GRACE_SECONDS)
    assert runs_of(runs, recording, payload) == []
    assert len(runs_of(runs, recording, other)) == 1


@pytest.mark.parametrize("days", [-400, 400])
def test_a_sender_s_wrong_clock_hides_nothing(
    runs: FlowRuns, recording: Deployment, looking: PostedEvents, seconds: Seconds, days: int
) -> None:
    look_after(looking, seconds, runs, recording, 0)
    post(runs, payload := stated("ITP-001"), occurred=Clock().now() + timedelta(days=days))
    look_after(looking, seconds, runs, recording, WHOLE_SECONDS)
    look_after(looking, seconds, runs, recording, GRACE_SECONDS)
    assert len(runs_of(runs, recording, payload)) == 1


def test_what_prefect_refuses_is_said_once_and_keeps_nothing_else(
    runs: FlowRuns, recording: Deployment, study: Runtime, looking: PostedEvents, seconds: Seconds
) -> None:
    post(runs, {"of": f"{uuid.uuid4()}", "long": "x" * 700_000})
    post(runs, payload := stated("ITP-001"))
    look_after(looking, seconds, runs, recording, 0, GRACE_SECONDS, GRACE_SECONDS, AGAIN_SECONDS)
    assert len(runs_of(runs, recording, payload)) == 1
    assert len([said for said in mended(study) if "no run can be made" in said]) == 1


def test_a_deployment_that_is_missing_for_a_moment_loses_nothing(
    runs: FlowRuns, recording: Deployment, looking: PostedEvents, seconds: Seconds
) -> None:
    post(runs, payload := stated("ITP-001"))
    missing = Deployment(uuid.uuid4(), recording.flow_id)
    look_after(looking, seconds, runs, missing, 0)
    look_after(looking, seconds, runs, missing, GRACE_SECONDS)
    look_after(looking, seconds, runs, recording, AGAIN_SECONDS)
    assert len(runs_of(runs, recording, payload)) == 1


def test_a_damaged_entry_of_the_log_keeps_no_event_waiting(
    runs: FlowRuns, recording: Deployment, study: Runtime, looking: PostedEvents, seconds: Seconds
) -> None:
    post(runs, payload := stated("ITP-001"))
    assert study.record([parse_event(payload)], study.clock.now())[0].error is None
    damage_log(study.store, "ITP-001", 1, "{")
    post(runs, other := stated("ITP-002"))
    look_after(looking, seconds, runs, recording, 0, GRACE_SECONDS)
    assert len(runs_of(runs, recording, other)) == 1


class Prefect(FlowRuns):
    """What Prefect stores and makes, as far as the look asks for it; a call may fail."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.made: list[tuple[str, dict[str, Any]]] = []
        self.answers = 1_000_000
        self.refusals = 0

    def call(self, method: str, path: str, body: Any = None, *, absent_is_none: bool = False) -> Any:
        self.answers -= 1
        if self.answers < 0:
            raise PrefectSilent("silent")
        if path.startswith("/events"):
            first = 0 if method == "POST" else int(path.rpartition("page-token=")[2])
            newest = sorted(self.events, key=lambda each: -each["occurred"])
            more = f"http://prefect/?page-token={first + 2}" if first + 2 < len(newest) else None
            return {"events": newest[first : first + 2], "next_page": more}
        first = body["offset"]
        return [{"parameters": given} for _, given in self.made[first : first + body["limit"]]]

    def create_named(
        self, deployment: Deployment, name: str, parameters: dict[str, Any], state: dict[str, Any]
    ) -> FlowRun:
        self.call("POST", "/flow_runs/filter", {"offset": 0, "limit": 0})
        if self.refusals:
            self.refusals -= 1
            raise PrefectRefused("refused")
        if name not in [known for known, _ in self.made]:
            self.made.append((name, parameters))
        return FlowRun(uuid.uuid4(), name, uuid.uuid4(), None, "SCHEDULED", "", None, None, (), parameters)

    def post(self, occurred: int) -> dict[str, Any]:
        number = len(self.events)
        received = datetime(2026, 1, 5, tzinfo=UTC).isoformat()
        payload = {"number": number}
        self.events.append(
            {"id": f"{number}", "received": received, "payload": payload, "occurred": occurred}
        )
        return payload


class Life:
    """Events that are posted, Prefect's own runs of them, and the looks of a service."""

    def __init__(self, store: Store) -> None:
        self.prefect, self.seconds = Prefect(), Seconds()
        self.study = Runtime(store, PROTOCOL, Channels.from_config(None), Clock(), "http://127.0.0.1:9/api")
        self.recording = Deployment(uuid.uuid4(), uuid.uuid4())
        self.posted_at: list[float] = []
        self.run_in_time: list[dict[str, Any]] = []
        self.start_anew()

    def start_anew(self, _: int = 0) -> None:
        self.looking = PostedEvents(self.study, self.seconds)

    def post(self, occurred: int) -> None:
        self.prefect.post(occurred)
        self.posted_at.append(self.seconds.shown)

    def post_and_run(self, occurred: int) -> None:
        self.post(occurred)
        self.run(len(self.posted_at) - 1)

    def run(self, number: int) -> None:
        if self.posted_at:
            number %= len(self.posted_at)
            payload = self.prefect.events[number]["payload"]
            self.prefect.made.append(("Prefect's own", {"event": payload}))
            if self.seconds.shown - self.posted_at[number] < GRACE_SECONDS:
                self.run_in_time.append(payload)

    def look(self, later: int) -> None:
        self.seconds.shown += later
        with suppress(PrefectSilent):
            self.looking.bring(self.prefect, self.recording)
        self.prefect.answers = 1_000_000

    def refuse(self, times: int) -> None:
        self.prefect.refusals = times

    def fail_after(self, answers: int) -> None:
        self.prefect.answers = answers


STEPS = st.one_of(
    st.tuples(st.sampled_from([Life.post, Life.post_and_run]), st.integers(-3, 3)),
    st.tuples(st.sampled_from([Life.run, Life.fail_after, Life.refuse, Life.start_anew]), st.integers(0, 5)),
    st.tuples(st.just(Life.look), st.sampled_from([0, 1, GRACE_SECONDS - 1, GRACE_SECONDS, WHOLE_SECONDS])),
)


@example(steps=[(Life.post, 0), (Life.look, 0), (Life.look, GRACE_SECONDS - 1), (Life.run, 0)])
@given(steps=st.lists(STEPS, max_size=25))
def test_whatever_happens_each_event_gets_a_run_and_the_service_makes_one_at_most(
    steps: list[tuple[Callable[[Life, int], None], int]], empty_store: Store
) -> None:
    life = Life(empty_store)
    for step, number in [*steps, (Life.fail_after, 1_000_000), (Life.refuse, 0)]:
        step(life, number)
    life.look(WHOLE_SECONDS)
    life.look(GRACE_SECONDS)
    stated = [event["payload"] for event in life.prefect.events]
    made = [given["event"] for _, given in life.prefect.made]
    own = [given["event"] for name, given in life.prefect.made if name.startswith("posted")]
    assert all(payload in made for payload in stated)
    assert all(own.count(payload) <= 1 for payload in stated)
    assert not [payload for payload in life.run_in_time if payload in own]
