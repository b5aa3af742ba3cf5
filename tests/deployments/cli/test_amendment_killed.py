"""Applying an amendment is signed, and goes on after a kill at any commit: each subject is moved once."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import current_thread, main_thread

import pytest
import sqlalchemy as sa

from deployments.bootstrap.clock import Clock
from deployments.cli.commands.amend import assign
from flows.study.roles import SigningAtTheMachine
from flows.study.runtime import Runtime
from itp_events.events import ProtocolAssigned
from itp_events.protocol.file import BUILT_IN, load_protocol
from tasks.accounts import changing
from tasks.accounts.account import Account
from tasks.accounts.changing import By
from tasks.database.queries import SubjectRow, all_subjects, attempts_of, history
from tasks.database.store import Store
from tasks.integrity.verify import verify
from tasks.signatures.signing import signatures_of
from tests.support.study import Study
from tests.tasks.desk import ENROLLED_AT, Desk

pytestmark = pytest.mark.requirement("AMD-01")

WU = Account("inv.wu", "Wu", "investigator")
DATA = ProtocolAssigned(by="inv.wu", version="2", reason="amendment 1")


class Killed(BaseException):
    """The process ends here."""


@contextmanager
def killed_at(store: Store, nth: int) -> Iterator[None]:
    """Let the process end at its nth commit, before the database has it."""
    count = itertools.count(1)

    def end(_: sa.Connection) -> None:
        if current_thread() is main_thread() and next(count) == nth:
            raise Killed

    sa.event.listen(store.engine, "commit", end)
    try:
        yield
    finally:
        sa.event.remove(store.engine, "commit", end)


@pytest.fixture
def study_of_two_versions(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    """Two subjects of version 1, a version 2 beside it, and an account."""
    text = BUILT_IN.read_text(encoding="utf-8")
    later = text.replace("anchor: INF2, target: P2W", "anchor: INF2, target: P3W")
    second = later.replace('version: "1"', 'version: "2"')
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "v1.yaml").write_text(text, encoding="utf-8")
    desk = Desk.open(database_url)
    desk.protocol = load_protocol(tmp_path / "versions")
    for number in (1, 2):
        study = Study(code=f"ITP-{number:03}")
        study.last_id = 100 * number
        desk.take(study.enrol("2026-01-05", first_infusion_on="2026-01-06"), study.done("INF1", "2026-01-06"))
    (tmp_path / "versions" / "v2.yaml").write_text(second, encoding="utf-8")
    desk.protocol = load_protocol(tmp_path / "versions")
    with desk.store.writing() as connection:
        changing.add(connection, WU, By(None, "cli", ENROLLED_AT))
    yield desk
    desk.store.close()


def to_move(desk: Desk) -> list[SubjectRow]:
    return [row for row in all_subjects(desk.store) if row.protocol_version != "2"]


def apply(desk: Desk) -> int:
    study = Runtime(desk.store, desk.protocol, desk.channels, Clock(), "http://127.0.0.1:9/api")
    return assign(study, to_move(desk), DATA, SigningAtTheMachine(WU), as_json=True)


def test_a_step_that_is_killed_at_any_commit_and_repeated_moves_each_subject_once(
    study_of_two_versions: Desk,
) -> None:
    desk = study_of_two_versions
    kills = 0
    for nth in itertools.count(1):
        try:
            with killed_at(desk.store, nth):
                assert apply(desk) == 0
            break
        except Killed:
            kills += 1
    assert kills > 2
    assert to_move(desk) == []
    for row in all_subjects(desk.store):
        log = history(desk.store, row.code)
        assigned = [each for each in log if isinstance(each.data, ProtocolAssigned) and not each.own]
        assert len(assigned) == 1
        assert [each.account for each in signatures_of(desk.store, row.code, log)] == ["inv.wu"]
        first = [each for each in attempts_of(desk.store, row.code) if not each.repeated]
        sends = [(each.notice, each.recipient) for each in first]
        assert len(sends) == len(set(sends))
    assert verify(desk.store).findings == ()
