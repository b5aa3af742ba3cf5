"""A restored study is the study that was archived, whatever kind of database holds it."""

import json
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.process import BaseProcess
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import URL

from itp_events.errors import BadInput
from itp_events.outputs.plan import plan
from itp_events.outputs.plan_json import document
from itp_events.protocol.file import load_protocol
from tasks.archive.form import BadArchive
from tasks.archive.rows import Row
from tasks.database import custody, queries
from tasks.database.event_log import history
from tasks.database.schema import REVISION, repairs, subjects
from tasks.database.store import Store
from tasks.integrity.verify import verify
from tests.itp_events.histories import History, histories
from tests.support import Receiver
from tests.support.postgres import fresh_database
from tests.support.study import Study
from tests.tasks.archive.kept import AT, Files, brought_back, drop_columns, drop_tables, forged, kept, stored
from tests.tasks.archive.worker import back_up, bring_back
from tests.tasks.conftest import NOW
from tests.tasks.desk import Desk, outcomes
from tests.tasks.forked import forked_and_heard

pytestmark = pytest.mark.requirement("BAK-02")


@contextmanager
def empty(kind: str, postgres: URL, folder: Path) -> Iterator[str]:
    """An empty database of a kind."""
    if kind == "sqlite":
        path = folder / f"{time.monotonic_ns()}.db"
        yield f"sqlite:///{path}"
        return
    with fresh_database(postgres) as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, postgres: URL, tmp_path: Path) -> Iterator[str]:
    """An empty database of either kind."""
    with empty(request.param, postgres, tmp_path) as url:
        yield url


# The tables in which a restore writes lines of its own, after those that it brings.
GO_ON = {"register", "chains"}
LATER_TABLES = ("duty_changes", "protocol_files", "register", "seals", "seal_stamps", "service_log", "chains")


def went_on(after: dict[str, list[Row]], before: dict[str, list[Row]]) -> bool:
    """Whether the register begins with the lines that were brought."""
    numbered = [sorted(each["register"], key=itemgetter("number")) for each in (after, before)]
    return numbered[0][: len(numbered[1])] == numbered[1]


def test_every_row_is_as_it_was_but_for_what_was_on_its_way(lived: Desk, archive: Path, target: str) -> None:
    brought_back(archive, target)
    store = Store.open(target)
    before, after = stored(lived.store), stored(store)
    moving = [row["id"] for row in before["deliveries"] if row["status"] == "sending"]
    assert moving
    assert went_on(after, before)
    for name in before.keys() - {"deliveries", "attempts", *GO_ON}:
        assert _read(after[name]) == _read(before[name]), name
    for name, key in (("deliveries", "id"), ("attempts", "delivery")):
        assert _others(after[name], key, moving) == _others(before[name], key, moving)
    store.close()


def _read(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "holder"} for row in rows]


def _others(rows: list[dict[str, Any]], key: str, but: list[Any]) -> list[dict[str, Any]]:
    return [row for row in rows if row[key] not in but]


def test_what_was_on_its_way_is_unknown_and_sent_again_marked(
    lived: Desk, archive: Path, target: str, told: Receiver
) -> None:
    brought_back(archive, target, NOW)
    there = Desk(Store.open(target), channels=lived.channels)
    assert outcomes(there.attempts("ITP-002"))[-1] == "unknown"
    arrived = len(told.requests)
    there.hand_over(NOW + timedelta(seconds=1), "ITP-002")
    titles = [request.body["title"] for request in told.requests[arrived:]]
    assert titles
    assert all(title.startswith("[possibly repeated]") for title in titles)
    there.store.close()


def test_the_next_row_of_each_table_gets_a_number_of_its_own(
    lived: Desk, archive: Path, target: str, told: Receiver
) -> None:
    brought_back(archive, target)
    there = Desk(Store.open(target), channels=lived.channels)
    study = Study(code="ITP-009")
    study.last_id = 900
    there.take(study.enrol("2026-01-05"), now=AT)
    assert there.hand_over(AT, "ITP-009")
    there.store.close()


def test_what_concerns_one_installation_stays_behind(lived: Desk, archive: Path, target: str) -> None:
    with lived.store.writing() as connection:
        connection.execute(subjects.update().values(flow_run_id="a-run"))
    archive.unlink()
    kept(lived.store, archive)
    brought_back(archive, target)
    store = Store.open(target)
    with store.reading() as connection:
        assert connection.scalars(sa.select(subjects.c.flow_run_id)).all() == [None, None]
        for name in ("senders", "heartbeats", "cards", "prefect_notes", "shown_artifacts"):
            assert connection.scalar(sa.text(f"SELECT count(*) FROM {name}")) == 0
        assert custody.holds(connection, "0123456789abcdef")
    store.close()


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(told_of=histories(), kind=st.sampled_from(["sqlite", "postgresql"]), seed=st.integers(0, 9))
def test_any_study_is_the_same_in_the_other_kind_of_database(
    told_of: History, kind: str, seed: int, postgres: URL, tmp_path: Path, receiver: Receiver
) -> None:
    chance, other = random.Random(seed), "sqlite" if kind == "postgresql" else "postgresql"
    folder = tmp_path / str(time.monotonic_ns())
    folder.mkdir()
    with empty(kind, postgres, folder) as source, empty(other, postgres, folder) as target:
        desk = Desk.open(source)
        audiences = ("coordinator", "investigator", "sponsor", "cell-lab", "ops")
        desk.configure(
            folder / "apprise.txt", *(f"{name}={receiver.apprise_url(name)}" for name in audiences)
        )
        for now, batch in told_of.told:
            desk.take(*batch, now=now)
            if chance.random() < 0.5:
                desk.hand_over(now)
        desk.hand_over(told_of.end, None)
        kept(desk.store, folder / "kept.zip")
        brought_back(folder / "kept.zip", target)
        there = Desk(Store.open(target), channels=desk.channels)
        after, before = stored(there.store), stored(desk.store)
        assert went_on(after, before)
        assert all(after[name] == before[name] for name in before.keys() - GO_ON)
        assert _plans(there) == _plans(desk)
        arrived = len(receiver.requests)
        there.hand_over(told_of.end + timedelta(seconds=1), None)
        assert len(receiver.requests) == arrived, "nothing is sent again"
        later = told_of.end + timedelta(days=9)
        for code in _codes(desk):
            assert there.wake(code, later).wake_at == desk.wake(code, later).wake_at
        assert there.notices() == desk.notices()
        there.store.close()
        desk.store.close()


def _codes(desk: Desk) -> list[str]:
    return [row.code for row in queries.all_subjects(desk.store)]


def _plans(desk: Desk) -> list[dict[str, Any]]:
    with desk.store.reading() as connection:
        logs = [history(connection, code) for code in _codes(desk)]
    return [document(plan(load_protocol(), [each for each in log if not each.own], AT)) for log in logs]


# What is refused


def test_a_database_that_holds_a_study_is_refused(lived: Desk, archive: Path, database_url: str) -> None:
    before = stored(lived.store)
    with pytest.raises(
        BadInput, match=r"ITP_DATABASE_URL: the database is not empty \(subjects holds rows\)"
    ):
        brought_back(archive, database_url)
    assert stored(lived.store) == before


def test_a_database_of_another_program_is_refused(archive: Path, target: str) -> None:
    store = Store.unmigrated(target)
    with store.writing() as connection:
        connection.execute(sa.text("CREATE TABLE theirs (id INTEGER)"))
    with pytest.raises(BadInput, match=r"the database holds tables of another program \(theirs\)"):
        brought_back(archive, target)
    with store.reading() as connection:
        assert sa.inspect(connection).get_table_names() == ["theirs"]
    store.close()


def test_an_installation_that_was_started_and_recorded_nothing_is_empty(archive: Path, target: str) -> None:
    store = Store.open(target)
    with store.writing() as connection:
        connection.execute(sa.text("INSERT INTO heartbeats VALUES ('round', '2026-01-01T00:00:00.000000Z')"))
    store.close()
    assert brought_back(archive, target).rows


ACCOUNTS = ("account_log", "tokens", "sign_ins", "signatures", "accounts")


def test_an_archive_of_an_older_revision_is_restored_and_then_migrated(
    lived: Desk, archive: Path, target: str
) -> None:
    def older(files: Files, manifest: dict[str, Any]) -> None:
        manifest["database"]["revision"] = "0006"
        drop_tables(files, manifest, "redcap_books", "redcap_statements", *ACCOUNTS, *LATER_TABLES)
        drop_columns(files, manifest, "events", "actor", "door")
        drop_columns(files, manifest, "deliveries", "person")
        drop_columns(files, manifest, "troubles", "noted_by")
        for table in [each["name"] for each in manifest["tables"]]:
            drop_columns(files, manifest, table, "hash", "head")

    brought_back(forged(archive, older), target)
    store = Store.open(target)
    with store.reading() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == REVISION
    # The hashes are made anew: what is not known of an event is not in them.
    not_known: dict[str, Any] = {"actor": None, "door": None, "hash": None}
    kept = [row | {"hash": None} for row in stored(store)["events"]]
    assert kept == [row | not_known for row in stored(lived.store)["events"]]
    assert not verify(store).findings
    store.close()


def test_an_archive_of_a_newer_program_is_refused_with_the_remedy(archive: Path, target: str) -> None:
    def newer(_: Files, manifest: dict[str, Any]) -> None:
        manifest["database"]["revision"] = "9999"
        manifest["program"]["version"] = "31.4"

    said = r"was written by a newer program \(revision 9999, itp-visits 31.4\).*; install that version"
    with pytest.raises(BadArchive, match=said):
        brought_back(forged(archive, newer), target)
    _assert_empty(target)


def test_a_row_that_the_database_refuses_takes_everything_back(archive: Path, target: str) -> None:
    def twice(files: Files, _: object) -> None:
        files["tables/events.jsonl"] += files["tables/events.jsonl"].splitlines(keepends=True)[0]

    with pytest.raises(BadArchive, match=r"tables/events.jsonl, line \d+: the database refuses a row"):
        brought_back(forged(archive, twice), target)
    _assert_empty(target)


def _assert_empty(url: str) -> None:
    store = Store.unmigrated(url)
    with store.reading() as connection:
        assert sa.inspect(connection).get_table_names() == []
    store.close()


# Killed at any instant


@pytest.fixture
def busy(lived: Desk) -> Desk:
    """The study with enough in it for a kill to come in the middle."""
    with lived.store.writing() as connection:
        connection.execute(repairs.insert(), [{"what": f"put back {n}", "at": AT} for n in range(6000)])
    return lived


def _begun(work: Callable[..., None], *arguments: object) -> BaseProcess:
    process, heard = forked_and_heard(work, *arguments)
    with heard:
        assert heard.recv_bytes() == b"begun"
    return process


def _killed(seconds: float, work: Callable[..., None], *arguments: object) -> bool:
    """Let a process do the work, and kill it so long after it began; whether it was killed."""
    process = _begun(work, *arguments)
    process.join(seconds)
    process.kill()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def _took(work: Callable[..., None], *arguments: object) -> float:
    process, began = _begun(work, *arguments), time.monotonic()
    process.join()
    assert process.exitcode == 0
    return time.monotonic() - began


def test_a_killed_backup_leaves_the_old_one_or_the_new_one(
    busy: Desk, database_url: str, tmp_path: Path
) -> None:
    path, chance, killed = tmp_path / "backups" / "kept.zip", random.Random(3), 0
    whole = _took(back_up, database_url, path)
    before = path.read_bytes()
    for _ in range(4):
        killed += _killed(whole * chance.random(), back_up, database_url, path)
        assert path.read_bytes() == before or json.loads(_manifest(path))["format"]
        before = path.read_bytes()
    assert killed
    assert _took(back_up, database_url, path)
    assert [each.name for each in path.parent.iterdir()] == ["kept.zip"], "no draft stays"


def _manifest(path: Path) -> str:
    from tasks.archive.check import open_archive

    with open_archive(path) as archive:
        return archive.check().model_dump_json()


def test_a_killed_restore_leaves_an_empty_database_or_a_whole_study(
    busy: Desk, postgres: URL, target: str, tmp_path: Path
) -> None:
    path, chance, killed = tmp_path / "kept.zip", random.Random(4), 0
    kept(busy.store, path)
    with empty("sqlite" if "sqlite" in target else "postgresql", postgres, tmp_path) as first:
        whole = _took(bring_back, first, path)
    for _ in range(3):
        killed += _killed(whole * chance.random(), bring_back, target, path)
        # One that was quicker than the first may have ended, or have committed before it was killed.
        if _has_tables(target):
            break
    assert killed
    if not _has_tables(target):
        brought_back(path, target)
    store = Store.open(target)
    assert stored(store)["events"] == stored(busy.store)["events"]
    store.close()


def _has_tables(target: str) -> bool:
    store = Store.unmigrated(target)
    with store.reading() as connection:
        found = bool(sa.inspect(connection).get_table_names())
    store.close()
    return found
