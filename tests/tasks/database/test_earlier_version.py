"""A store that an earlier version of the service wrote opens, says the same, and goes on.

`store_of_an_earlier_version.sql` is its dump: three subjects on treatment, on hold and withdrawn, one event
corrected, two notices that a provider refused and three whose sender died after the claim.
`said_by_an_earlier_version.json` is what `itp show --json` of that version said at the same instant, but for
the log and the texts of notices, which stand in the store.
"""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from deployments.cli.commands.show import subject_document
from deployments.cli.opening import OpenStudy
from tasks.board.reading import fresh_cards
from tasks.database import queries
from tasks.database.schema import REVISION
from tasks.delivery.channels import Channels
from tests.support import Receiver
from tests.support.study import Study
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("LOG-06")

DUMP = Path(__file__).with_name("store_of_an_earlier_version.sql")
SAID = json.loads(Path(__file__).with_name("said_by_an_earlier_version.json").read_text(encoding="utf-8"))
AT = datetime.fromisoformat(SAID["at"])
CODES = ("ITP-001", "ITP-002", "ITP-003")
AUDIENCES = ("coordinator", "investigator", "sponsor", "cell-lab", "ops")


@pytest.fixture
def earlier(tmp_path: Path, receiver: Receiver) -> Iterator[Desk]:
    """The store as today's program opens it, with the same recipients."""
    file = tmp_path / "study.db"
    with sqlite3.connect(file) as connection:
        connection.executescript(DUMP.read_text(encoding="utf-8"))
    connection.close()
    desk = Desk.open(f"sqlite:///{file}")
    desk.configure(tmp_path / "apprise.txt", *(f"{each}={receiver.apprise_url(each)}" for each in AUDIENCES))
    desk.channels = _as_they_were(desk.channels)
    yield desk
    desk.store.close()


def _as_they_were(channels: Channels) -> Channels:
    configured = [
        replace(each, id=tag, label=f"json://receiver/{tag}")
        for each in channels.configured
        for tag in each.tags
    ]
    return replace(channels, configured=configured)


def test_it_opens_at_the_newest_migration(earlier: Desk) -> None:
    with earlier.store.reading() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == REVISION


@pytest.mark.parametrize("code", CODES)
def test_every_subject_is_shown_as_the_earlier_version_showed_it(earlier: Desk, code: str) -> None:
    study = OpenStudy(earlier.store, earlier.protocol, AT)
    shown = json.loads(json.dumps(subject_document(study, code)))
    said = SAID["show"][code]
    assert _as_far_as(said, shown) == _as_far_as(said, said)


def _as_far_as(before: Any, now: Any) -> Any:
    """What is said now, without the keys of which the earlier version knew nothing."""
    if isinstance(before, dict) and isinstance(now, dict):
        # It showed the address of a recipient there.
        kept = before.keys() - {"recipient"}
        return {key: _as_far_as(before.get(key), value) for key, value in now.items() if key in kept}
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [_as_far_as(*pair) for pair in zip(before, now, strict=True)]
    return now


def test_cards_of_the_earlier_version_are_read_or_made_anew(earlier: Desk) -> None:
    cards = fresh_cards(earlier.store, earlier.protocol, AT)
    assert [(card["code"], card["status"]) for card in cards] == [
        ("ITP-001", "on-treatment"),
        ("ITP-002", "on-hold"),
        ("ITP-003", "withdrawn"),
    ]


def test_subjects_go_on_at_their_next_wake(earlier: Desk) -> None:
    before = {row.code: row.wake_at for row in queries.live_subjects(earlier.store)}
    assert set(before) == {"ITP-001", "ITP-002"}
    for code, wake_at in before.items():
        assert wake_at is not None
        advanced = earlier.wake(code, wake_at)
        assert advanced.wake_at is not None
        assert advanced.wake_at > wake_at


def test_events_are_known_or_recorded_as_in_a_store_of_today(earlier: Desk) -> None:
    study = Study()
    enrolment = study.enrolment("2026-01-05")
    infusion = study.event("itp.visit.completed", "2026-02-03", event_id="later", visit="INF3")
    assert [answer.status for answer in earlier.take(enrolment, infusion)] == ["known", "recorded"]


def test_what_was_sent_is_not_sent_again(earlier: Desk, receiver: Receiver) -> None:
    arrived = _arrived(earlier)
    handed = earlier.hand_over(AT + timedelta(minutes=5), None)
    assert sorted((each.notice, each.outcome.kind, each.repeated) for each in handed) == [
        ("ITP-001/sae/investigator/site:e-5", "sent", False),
        ("ITP-001/sae/sponsor/site:e-5", "sent", False),
        ("ITP-002/decision-1/investigator/site:e-106", "sent", True),
        ("ITP-002/sae/investigator/site:e-107", "sent", True),
        ("ITP-002/sae/sponsor/site:e-107", "sent", True),
    ]
    for days in (1, 2):
        for code in CODES:
            earlier.wake(code, AT + timedelta(days=days))
        handed += earlier.hand_over(AT + timedelta(days=days), None)
    assert len(receiver.requests) == len(handed)
    assert {each.notice for each in handed}.isdisjoint(notice for notice, *_ in arrived)
    assert arrived <= _arrived(earlier)


def _arrived(desk: Desk) -> set[tuple[str, str, int]]:
    """The sends that arrived, by notice, recipient and number."""
    rows = [row for code in CODES for row in desk.attempts(code)]
    return {(row.notice, row.recipient, row.number) for row in rows if row.outcome == "sent"}


def test_the_addresses_that_the_earlier_version_kept_are_shown_no_more(earlier: Desk) -> None:
    shown = {row.recipient for code in CODES for row in earlier.attempts(code)}
    assert "json coordi" in shown
    assert not [each for each in shown if "://" in each]
