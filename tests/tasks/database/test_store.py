import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from itp_events.errors import BadInput, ItpError
from tasks.database import queries, repairs, sqlite
from tasks.database.custody import Move, Moved, begin_move
from tasks.database.migrations import versions
from tasks.database.schema import REVISION, metadata
from tasks.database.store import Store
from tests.support import free_port
from tests.support.study import Study
from tests.tasks.desk import ENROLLED_AT, Desk
from tests.tasks.forked import forked

pytestmark = pytest.mark.requirement("LOG-06")


# The index by which codes are found in any case is of an expression: SQLite's are not read back.
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
def test_an_empty_database_is_migrated_to_the_tables_that_queries_are_written_against(
    empty_database_url: str,
) -> None:
    store = Store.open(empty_database_url)
    with store.reading() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    store.close()
    assert differences == []


def test_the_newest_migration_is_the_one_that_the_program_knows() -> None:
    config = Config()
    config.set_main_option("script_location", "tasks.database:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == REVISION


def test_every_migration_has_a_revision_of_its_own_as_its_file_says() -> None:
    files = sorted(Path(versions.__file__).parent.glob("0*.py"))
    found = [
        re.findall(r'^revision = "(\w+)"$', file.read_text(encoding="utf-8"), re.MULTILINE) for file in files
    ]
    assert found == [[file.name.partition("_")[0]] for file in files]
    assert len({revision for [revision] in found}) == len(files)


def test_a_database_is_kept_when_it_is_opened_again(desk: Desk, study: Study, database_url: str) -> None:
    desk.take(study.enrol())
    again = Store.open(database_url)
    try:
        assert [row.code for row in queries.all_subjects(again)] == ["ITP-001"]
    finally:
        again.close()


def test_two_processes_may_open_an_empty_database_at_once(empty_database_url: str) -> None:
    started = [forked(Store.open, empty_database_url) for _ in range(3)]
    for process in started:
        process.join(timeout=60)
    assert [process.exitcode for process in started] == [0, 0, 0]


def test_a_database_written_by_a_newer_program_is_refused_in_one_line(desk: Desk, database_url: str) -> None:
    with desk.store.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'later'"))
    with pytest.raises(ItpError, match="stands at revision later, which this program does not know"):
        Store.open(database_url)


@pytest.mark.parametrize("url", ["mysql://root@localhost/study", "no url at all", "sqlite://"])
def test_a_database_that_cannot_hold_a_study_is_refused_with_the_setting_named(url: str) -> None:
    with pytest.raises(BadInput, match="ITP_DATABASE_URL"):
        Store.open(url)


def test_a_server_that_does_not_answer_gives_one_line() -> None:
    with pytest.raises(ItpError) as refused:
        Store.open(f"postgresql://postgres@127.0.0.1:{free_port()}/study")
    assert "cannot be opened" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_step_that_fails_leaves_nothing_behind(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())

    def half(connection: sa.Connection) -> None:
        connection.execute(sa.text("UPDATE subjects SET state = 'half done'"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        desk.store.write(half)
    assert [row.state for row in queries.all_subjects(desk.store)] == ["INF1 window open"]


def test_writers_of_one_process_stand_in_line_instead_of_polling(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A writer that had to poll would be told at once that the database is locked.
    monkeypatch.setattr(sqlite, "BUSY_MS", 0)
    store = Store.open(sqlite_url)
    with ThreadPoolExecutor(8) as pool, store.writing():
        waiting = [pool.submit(repairs.note_repair, store, "mended", ENROLLED_AT) for _ in range(8)]
        assert not any(each.done() for each in waiting)
    assert [each.result() for each in waiting] == [None] * 8
    store.close()


def test_a_store_that_is_open_while_its_study_moves_says_where_the_study_is(desk: Desk, study: Study) -> None:
    desk.take(study.enrol())
    with desk.store.writing() as connection:
        begin_move(connection, Move("m-1", "moved", "postgresql://elsewhere/study", ENROLLED_AT))
    with pytest.raises(Moved, match=r"moved to postgresql://elsewhere/study on .*: set ITP_DATABASE_URL"):
        desk.take(study.contact("2026-01-06", reached=True))
    facts = [event.type for event in queries.history(desk.store, study.code) if not event.own]
    assert facts == ["itp.subject.enrolled"]
