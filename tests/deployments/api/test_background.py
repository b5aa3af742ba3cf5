"""What the HTTP doors claim leaves at once and once; what cannot leave at once stays in the outbox."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
from sqlalchemy.exc import OperationalError

from deployments.api import hand_overs, showing
from deployments.bootstrap.clock import Clock
from flows.prefect_api.flow_runs import PrefectSilent
from flows.study.recording import Remember
from flows.study.runtime import Runtime
from itp_events.events import parse_event
from itp_events.protocol.model import Audience
from tasks.advance import Advanced
from tasks.database.prefect_notes import remember_flow_runs
from tasks.database.queries import AttemptRow, all_subjects, attempts_of, notices_of
from tasks.database.store import Store
from tasks.delivery.claims import NOTHING
from tasks.limits import CLAIMED_SENDERS, DOOR_SENDERS
from tests.support.api import Door, Json, apprise_config, enrolment, event, served
from tests.support.hand_over import hand_over
from tests.support.receiver import Receiver
from tests.support.waiting import wait_until

pytestmark = pytest.mark.requirement("RUN-08")

# As many as the API has threads.
BURST = 40
MARK = "[possibly repeated] "
TOLD = "serious"


@pytest.fixture
def patient(tmp_path: Path, receiver: Receiver) -> Iterator[Door]:
    """The API of an empty study whose sends wait for an answer for longer than any test lets them."""
    config = tmp_path / "patient.conf"
    urls = {name: receiver.apprise_url(f"{name}?rto=25") for name in get_args(Audience)}
    config.write_text("".join(f"{name}={url}\n" for name, url in urls.items()), encoding="utf-8")
    with served(tmp_path / "data", apprise_config=config) as door:
        yield door


@pytest.fixture
def doors(tmp_path: Path, receiver: Receiver, postgresql_url: str) -> Iterator[tuple[Door, Door]]:
    """Two APIs, each with a study of its own over one database."""
    config = apprise_config(tmp_path / "apprise.conf", receiver.apprise_url())
    given: dict[str, Any] = {"apprise_config": config, "database_url": postgresql_url}
    with served(tmp_path / "one", **given) as one, served(tmp_path / "two", **given) as two:
        yield one, two


def attempts(study: Runtime) -> list[AttemptRow]:
    return [each for row in all_subjects(study.store) for each in attempts_of(study.store, row.code)]


def outcomes(study: Runtime) -> Counter[str | None]:
    return Counter(each.outcome for each in attempts(study))


def statuses(study: Runtime) -> Counter[str]:
    return Counter(
        each.status for row in all_subjects(study.store) for each in notices_of(study.store, row.code)
    )


def sweep(study: Runtime, wall: datetime | None = None) -> None:
    hand_over(study.store, study.protocol, study.channels, study.clock.now(), wall=wall)


def adverse_event(code: str, number: str) -> Json:
    now = Clock().now()
    on = (now - timedelta(days=1)).date()
    data = {"ae": number, "term": "Fever", "grade": 3, "serious": True, "related": False, "on": f"{on}"}
    return event("adverse-event.reported", code, now, data)


def enrol_in_places(door: Door, count: int) -> int:
    """Enrol so many, of whom none has been recorded when the last asks for a place; how many were claimed."""
    background, now, claims = door.api.background, door.now, 0
    with ExitStack() as places:
        kept = [places.enter_context(background.places(1)) for _ in range(count)]
        for number, is_kept in enumerate(kept, 1):
            stated = parse_event(enrolment(f"ITP-{number:03}", now))
            at_once = door.study.claiming(now) if is_kept else None
            [answer] = door.study.record([stated], now, at_once=at_once)
            assert answer.advanced
            claimed = at_once.by_subject if at_once else NOTHING
            claims += bool(claimed)
            background.follow([answer], claimed)
    return claims


def test_a_notice_waits_for_no_sender_however_many_hang(
    patient: Door, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All come in at the same instant, and the one that comes after them still leaves."""
    together, record = threading.Barrier(BURST), Runtime.record

    def at_the_same_instant(*given: Any, **how: Any) -> Any:
        together.wait(timeout=30)
        return record(*given, **how)

    receiver.hang()
    stated = [enrolment(f"ITP-{number:03}", patient.now) for number in range(1, BURST + 1)]
    with monkeypatch.context() as burst, ThreadPoolExecutor(BURST) as pool:
        burst.setattr(Runtime, "record", at_the_same_instant)
        assert {answer.status_code for answer in pool.map(patient.post, stated)} == {201}
    patient.enrol("ITP-099")
    receiver.wait_for(BURST + 1)
    assert outcomes(patient.study) == {None: BURST + 1}
    receiver.succeed()
    wait_until(lambda: outcomes(patient.study) == {"sent": BURST + 1}, "every send to end")
    assert statuses(patient.study) == {"delivered": BURST + 1}
    assert len(receiver.requests) == BURST + 1


def test_no_more_is_claimed_at_once_than_can_leave_at_once(patient: Door, receiver: Receiver) -> None:
    receiver.hang()
    assert enrol_in_places(patient, CLAIMED_SENDERS + 4) == CLAIMED_SENDERS
    with patient.api.background.places(1) as is_kept:
        assert not is_kept, "the places are taken until the sends have ended"
    receiver.wait_for(CLAIMED_SENDERS + 4)
    receiver.succeed()

    def has_place() -> bool:
        with patient.api.background.places(1) as is_kept:
            return is_kept

    wait_until(has_place, "the places to be free again")


def test_a_place_that_was_not_used_is_free_again(door: Door) -> None:
    for _ in range(CLAIMED_SENDERS + 1):
        with door.api.background.places(1) as is_kept:
            assert is_kept


def test_a_door_that_closes_leaves_nothing_claimed_behind(
    patient: Door, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_overs, "DRAIN_SECONDS", 0.1)
    everybody = CLAIMED_SENDERS + DOOR_SENDERS + 8
    receiver.hang()
    assert enrol_in_places(patient, everybody) == CLAIMED_SENDERS
    assert not patient.api.background.close()
    receiver.succeed()
    wait_until(lambda: outcomes(patient.study)[None] == 0, "what had begun to end")
    sweep(patient.study)
    wait_until(lambda: outcomes(patient.study) == {"sent": everybody}, "the others to be swept")
    assert [each.body["title"] for each in receiver.requests if each.body["title"].startswith(MARK)] == []


def test_a_door_that_closes_waits_for_the_event_that_it_is_recording(door: Door, receiver: Receiver) -> None:
    background = door.api.background
    closing = threading.Thread(target=background.close)

    def is_closing() -> bool:
        with background.places(1) as is_kept:
            return not is_kept

    with background.places(1) as is_kept:
        assert is_kept
        closing.start()
        wait_until(is_closing, "the follower to take nothing more")
        at_once = door.study.claiming(door.now)
        answers = door.study.record([parse_event(enrolment("ITP-001", door.now))], door.now, at_once=at_once)
        background.follow(answers, at_once.by_subject)
    closing.join(timeout=30)
    assert not closing.is_alive()
    assert outcomes(door.study) == {"sent": 1}
    assert len(receiver.requests) == 1


def test_one_event_sent_to_two_doors_a_hundred_times_is_told_once(
    doors: tuple[Door, Door], receiver: Receiver
) -> None:
    """Some state it of another subject: one is right. The sweep looks for work meanwhile."""
    study, done = doors[0].study, threading.Event()
    for code in ("ITP-001", "ITP-002"):
        doors[0].enrol(code)
    stated = adverse_event("ITP-001", "AE-1")
    said = [stated if number % 5 else stated | {"subject": "ITP-002"} for number in range(100)]

    def sweep_on() -> None:
        while not done.is_set():
            sweep(study)

    def post(number: int) -> int:
        return doors[number % 2].post(said[number]).status_code

    with ThreadPoolExecutor(20) as pool:
        sweeping = pool.submit(sweep_on)
        answers = list(pool.map(post, range(100)))
        wait_until(lambda: set(outcomes(study)) == {"sent"}, "every send to end")
        done.set()
        sweeping.result(timeout=60)
    [first] = [number for number, answer in enumerate(answers) if answer == 201]
    counted = said[first]["subject"]
    right = [200 if each["subject"] == counted else 409 for each in said]
    assert answers == [*right[:first], 201, *right[first + 1 :]]
    sent = Counter(request.path for request in receiver.requests if TOLD in request.body["title"])
    assert sent == {"/investigator": 1, "/sponsor": 1}
    assert len(receiver.requests) == len(attempts(study))


@pytest.mark.parametrize("manner", ["fail", "die"])
def test_a_storm_of_corrections_at_two_doors_loses_and_doubles_nothing(
    doors: tuple[Door, Door], receiver: Receiver, manner: str
) -> None:
    """The receiver refuses everything, or takes it without an answer, until the storm is over.

    Half of the corrections mend a typo: the alert stands, and is told once. The others call it off.
    """
    study = doors[0].study
    doors[0].enrol()
    wait_until(lambda: set(outcomes(study)) == {"sent"}, "the reminder to leave")
    (receiver.fail if manner == "fail" else receiver.die)()

    def correct(number: int) -> list[int]:
        wrong = adverse_event("ITP-001", f"AE-{number}")
        about = {"event": {"source": wrong["source"], "id": wrong["id"]}, "reason": "entered in error"}
        first = doors[number % 2].post(wrong)
        void, right = (
            event("event.voided", "ITP-001", Clock().now(), about),
            adverse_event("ITP-001", "R"),
        )
        right["data"] |= {"ae": f"AE-{number}", "term": f"Right {number}", "serious": number % 4 < 2}
        return [first.status_code, doors[(number + 1) % 2].post([void, right]).status_code]

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(correct, range(12))) == [[201, 201]] * 12
    receiver.succeed()
    wait_until(lambda: settled_after_a_sweep(study), "what was refused to be told")
    told = Counter(each.recipient for each in attempts(study) if stands(study, each))
    assert sorted(told.values()) == [6, 6], told
    assert statuses(study) == {"delivered": 1 + 12, "withdrawn": 12}
    assert len(receiver.requests) == len(attempts(study))
    sent = Counter((each.notice, each.recipient) for each in attempts(study) if each.outcome == "sent")
    assert set(sent.values()) == {1}
    repeated = [each.body["title"] for each in receiver.requests if each.body["title"].startswith(MARK)]
    assert len(repeated) == sum(each.repeated for each in attempts(study))
    assert all(each.repeated == (manner == "die" and each.number > 1) for each in attempts(study))


def settled_after_a_sweep(study: Runtime) -> bool:
    """By then what was refused once is due again, and no lease has ended."""
    sweep(study, study.clock.now() + timedelta(seconds=31))
    return None not in outcomes(study) and set(statuses(study)) == {"delivered", "withdrawn"}


def stands(study: Runtime, attempt: AttemptRow) -> bool:
    """Whether it is the one that got through of an alert that nobody corrected."""
    of = {each.key: each for each in notices_of(study.store, "ITP-001")}[attempt.notice]
    return of.step == "sae" and of.status == "delivered" and attempt.outcome == "sent"


def test_a_wait_is_shown_within_moments_although_events_keep_coming(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(showing, "show_one", lambda _study, _runs, standing, _: shown.append(standing.code))
    answers = door.study.record([parse_event(enrolment("ITP-001", door.now))], door.now)

    def is_shown_under_events() -> bool:
        door.api.background.follow(answers)
        return bool(shown)

    wait_until(is_shown_under_events, "the wait to be shown", timeout=showing.LONGEST_SECONDS + 10)
    assert shown[0] == "ITP-001"


def test_while_events_keep_coming_waits_are_shown_at_a_pace_that_doors_do_not_feel(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[float] = []
    monkeypatch.setattr(showing, "show_one", lambda *_: shown.append(time.monotonic()))
    # However slow this machine is, the doors do not fall quiet between two of its events.
    monkeypatch.setattr(showing, "QUIET_SECONDS", 60.0)
    codes = [f"ITP-{number:03}" for number in range(1, 5)]
    enrolled = [parse_event(enrolment(code, door.now)) for code in codes]
    answers = door.study.record(enrolled, door.now)

    def are_shown_under_events() -> bool:
        door.api.background.follow(answers)
        return len(shown) >= len(codes)

    wait_until(are_shown_under_events, "four waits to be shown", timeout=30)
    assert min(after - before for before, after in pairwise(shown)) >= showing.BUSY_PACE_SECONDS


def test_flow_runs_that_are_made_one_after_the_other_are_noted_together(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[dict[str, str]] = []

    def makes(study: Runtime, _runs: object, standing: Advanced, remember: Remember) -> None:
        assert standing.flow_run_id is None
        remember(study, standing.code, f"run of {standing.code}")

    def counted(store: Store, made: dict[str, str]) -> None:
        noted.append(made)
        if len(noted) == 1:
            raise OperationalError("UPDATE", {}, OSError("the database is away"))
        remember_flow_runs(store, made)

    monkeypatch.setattr(showing, "show_one", makes)
    monkeypatch.setattr(showing, "remember_flow_runs", counted)
    codes = [f"ITP-{number:03}" for number in range(1, showing.NOTED_TOGETHER + 3)]
    enrolled = [parse_event(enrolment(code, door.now)) for code in codes]
    door.api.background.follow(door.study.record(enrolled, door.now))
    wait_until(lambda: len(noted) == 2, "all runs to be noted")
    wait_until(lambda: flow_runs(door.study) == 2, "the second transaction")
    assert [len(made) for made in noted] == [showing.NOTED_TOGETHER, 2]
    # What the database did not take is found by its key in Prefect, and noted then.
    said = event("contact.attempted", codes[-1], door.now, {"on": f"{door.now.date()}", "reached": True})
    [answer] = door.study.record([parse_event(said)], door.now)
    assert answer.advanced
    assert answer.advanced.flow_run_id == f"run of {codes[-1]}"


def flow_runs(study: Runtime) -> int:
    """How many subjects have a flow run, as the study noted it."""
    return sum(row.flow_run_id is not None for row in all_subjects(study.store))


def test_a_wait_that_a_busy_prefect_did_not_take_is_shown_again(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def silent_once(_study: Runtime, _runs: object, standing: Advanced, _remember: object) -> None:
        asked.append(standing.code)
        if len(asked) == 1:
            raise PrefectSilent("busy")

    monkeypatch.setattr(showing, "show_one", silent_once)
    monkeypatch.setattr(showing, "AGAIN_SECONDS", 0.1)
    enrolled = [parse_event(enrolment(code, door.now)) for code in ("ITP-001", "ITP-002")]
    door.api.background.follow(door.study.record(enrolled, door.now))
    wait_until(lambda: len(asked) == 3, "the first wait to be shown again")
    assert sorted(asked) == ["ITP-001", "ITP-001", "ITP-002"]


def test_a_prefect_that_stays_silent_is_left_to_the_repair(
    door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def silent(*_: object) -> None:
        raise PrefectSilent("gone")

    monkeypatch.setattr(showing, "show_one", silent)
    monkeypatch.setattr(showing, "AGAIN_SECONDS", 0.05)
    with caplog.at_level(logging.INFO, showing.__name__):
        door.api.background.follow(door.study.record([parse_event(enrolment("ITP-001", door.now))], door.now))
        wait_until(lambda: caplog.messages, "the waits to be given up")
    assert caplog.messages == ["Prefect's UI shows the new waits later: gone"]


def test_what_is_recorded_while_a_door_closes_stays_in_the_outbox(door: Door, receiver: Receiver) -> None:
    door.api.background.close()
    answers = door.study.record([parse_event(enrolment("ITP-001", door.now))], door.now)
    door.api.background.follow(answers)
    sweep(door.study)
    assert outcomes(door.study) == {"sent": 1}
