"""What a door accepted can be read, shown, exported and voided, and time goes on for its subject."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deployments.cli.output.sentences import decided, stated
from deployments.export import export
from itp_events.errors import BadEvent
from itp_events.events import Event, Exited, Flagged, Missed, TreatmentStopped, Voided, parse_event
from itp_events.outputs.plan import plan
from itp_events.outputs.plan_json import document
from itp_events.rules.subject import not_voided
from tasks.board.cards import card
from tasks.board.story import story
from tasks.board.subject_page import subject_page
from tasks.database import queries
from tasks.integrity.verify import Report
from tests.support.catalogue import any_data, names
from tests.support.study import Json, Study
from tests.tasks.desk import ENROLLED_AT, Desk

pytestmark = pytest.mark.requirement("OUT-03")

DECIDED = (Missed, Voided, Flagged, TreatmentStopped, Exited)
Stated = tuple[tuple[str, Json], str, str, int]


@dataclass
class Many:
    """A study that outlives one example: each is about a new subject, and exports into a new folder."""

    desk: Desk
    folder: Path
    numbers: Iterator[int] = field(default_factory=count)


@pytest.fixture
def many(database_url: str, tmp_path: Path) -> Iterator[Many]:
    """A study on SQLite and on PostgreSQL."""
    desk = Desk.open(database_url)
    yield Many(desk, tmp_path)
    desk.store.close()


# Examples share a study: one that fails spoils the export of those after it, so that nothing can be shrunk.
@settings(
    max_examples=20,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    given_events=st.lists(st.tuples(any_data(), names(), names(), st.integers(0, 30)), min_size=1, max_size=4)
)
def test_what_was_accepted_can_be_read_shown_exported_and_voided(
    many: Many, given_events: list[Stated]
) -> None:
    desk, number = many.desk, next(many.numbers)
    study = Study(code=f"ITP-{number}")
    enrolment = study.enrolment("2026-01-05").to_json() | {"source": f"enrolments-{number}"}
    desk.take(parse_event(enrolment))
    for what, source, identity, days in given_events:
        now = ENROLLED_AT + timedelta(days=days)
        if event := read_at_a_door(study.code, what, (f"{source[:190]}-{number}", identity), now):
            desk.take(event, now=now)
    end = ENROLLED_AT + timedelta(days=60)
    all_is_shown(desk, study.code, end)
    for fact in not_voided(queries.history(desk.store, study.code)):
        if fact.type != "itp.subject.enrolled":
            void = study.void(fact, end, event_id=f"{number}-{fact.type}-{next(many.numbers)}")
            [answer] = desk.take(void, now=end)
            assert answer.status == "recorded", answer
    all_is_shown(desk, study.code, end + timedelta(days=1))
    all_is_exported(many, study.code, end + timedelta(days=1))


def read_at_a_door(code: str, what: tuple[str, Json], key: tuple[str, str], now: datetime) -> Event | None:
    kind, data = what
    envelope = {"specversion": "1.0", "type": kind, "subject": code, "time": now.isoformat(), "data": data}
    try:
        return parse_event(envelope | {"source": key[0], "id": key[1]})
    except BadEvent:
        return None


def all_is_shown(desk: Desk, code: str, now: datetime) -> None:
    """Time goes on, notices leave, and the plan, the board, the subject's page and `itp show` can be made."""
    desk.wake(code, now)
    desk.hand_over(now, code)
    assert not [notice for notice in desk.notices(code) if notice.status == "queued"]
    log = queries.history(desk.store, code)
    assert all(stated(event) for event in log if not event.own)
    known = {event.key: event for event in log}
    assert all(decided(desk.protocol, event, known) for event in log if isinstance(event.data, DECIDED))
    assert json.dumps(document(plan(desk.protocol, log, now)))
    told = story(desk.store, desk.protocol, code, now)
    assert json.dumps(card(told))
    assert subject_page(told, None, None, None)


def all_is_exported(many: Many, code: str, now: datetime) -> None:
    desk, folder = many.desk, many.folder / code
    export(desk.store, desk.protocol, now, folder, Report(()))
    with (folder / "log.jsonl").open(encoding="utf-8", newline="\n") as file:
        lines = [json.loads(line) for line in file]
    log = queries.history(desk.store, code)
    assert [line["event"] for line in lines if line["subject"] == code] == [event.to_json() for event in log]
