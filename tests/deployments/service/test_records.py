"""The service keeps the record verifiable by itself, and says what it finds."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from deployments.bootstrap.clock import Clock
from deployments.service.records import STAMPS, TROUBLE, Records
from flows.study.runtime import Runtime
from tasks.database.troubles import open_troubles
from tasks.database.verifications import last_verification, note_verification
from tasks.integrity.sealing import newest_seal
from tasks.integrity.stamps import Authority
from tests.support.study import Study
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("LOG-01")

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def enrolled(tmp_path: Path) -> Iterator[Desk]:
    """A study with one subject."""
    desk = Desk.open(f"sqlite:///{tmp_path / 'study.db'}")
    desk.take(Study().enrol())
    yield desk
    desk.store.close()


def see_to(desk: Desk, *, due_here: bool = True, authority: Authority | None = None) -> None:
    """Do what is due in a service that has just started."""
    study = Runtime(desk.store, desk.protocol, desk.channels, Clock(), "http://127.0.0.1:9/api")
    asyncio.run(Records(study, lambda: due_here, authority).see_to())


def test_a_service_seals_and_verifies_and_names_a_trouble_until_it_is_gone(enrolled: Desk) -> None:
    see_to(enrolled)
    with enrolled.store.reading() as connection:
        assert newest_seal(connection) is not None
        first = last_verification(connection)
    assert first is not None
    assert first.findings == 0

    before = _set_state(enrolled, "changed")
    note_verification(enrolled.store, LONG_AGO, [])
    see_to(enrolled)
    [trouble] = open_troubles(enrolled.store)
    assert trouble.about == TROUBLE
    assert "subjects, ITP-001: is not what was recorded" in trouble.what

    _set_state(enrolled, before)
    note_verification(enrolled.store, LONG_AGO, [])
    see_to(enrolled)
    assert open_troubles(enrolled.store) == []


def test_only_the_service_that_has_the_study_does_it(enrolled: Desk) -> None:
    see_to(enrolled, due_here=False)
    with enrolled.store.reading() as connection:
        assert (newest_seal(connection), last_verification(connection)) == (None, None)


def test_an_authority_that_gives_no_stamp_is_a_trouble_that_goes_when_none_is_asked_any_more(
    enrolled: Desk,
) -> None:
    see_to(enrolled, authority=Authority("http://127.0.0.1:9/", ()))
    [trouble] = open_troubles(enrolled.store)
    assert (trouble.about, "ITP_STAMP_URL" in trouble.what) == (STAMPS, True)
    see_to(enrolled)
    assert open_troubles(enrolled.store) == []


def _set_state(desk: Desk, state: str) -> str:
    with desk.store.writing() as connection:
        before: str = connection.scalar(sa.text("SELECT state FROM subjects"))
        connection.execute(sa.text("UPDATE subjects SET state = :state"), {"state": state})
    return before
