"""Each row has a hash: of itself, and in a chain of the one before it."""

import json
import sqlite3
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from tasks.archive.contents import columns_of, key_of
from tasks.archive.rows import read_rows
from tasks.database import register
from tasks.database.queries import all_subjects
from tasks.database.schema import events, metadata, subjects
from tasks.database.schema import register as registered
from tasks.database.store import Store
from tasks.database.triggers import lifted, triggers_in
from tasks.hashing.rows import chained, hash_of
from tests.support.study import Study
from tests.tasks.database.test_earlier_version import DUMP
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("LOG-01")

Row = dict[str, object]
HASHED = [table for table in metadata.sorted_tables if "made" in getattr(table.c.get("hash"), "info", {})]
cells = st.one_of(st.none(), st.booleans(), st.integers(), st.text())
rows = st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), cells)


def stored(store: Store, table: sa.Table) -> list[Row]:
    """The rows of a table as they are stored."""
    with store.snapshot() as connection:
        return [dict(row) for row in read_rows(connection, table.name, columns_of(table), key_of(table))]


@given(rows, rows)
def test_two_rows_have_one_hash_only_if_they_say_the_same(one: Row, other: Row) -> None:
    same = json.dumps(_said(one)) == json.dumps(_said(other))
    assert (hash_of("t", one) == hash_of("t", other)) == same


def _said(row: Row) -> list[tuple[str, object]]:
    return sorted((name, value) for name, value in row.items() if value is not None)


@given(rows)
def test_a_column_that_is_added_later_changes_no_hash_while_it_is_null(row: Row) -> None:
    assert hash_of("t", row | {"later": None}) == hash_of("t", row)
    assert hash_of("t", row | {"later": ""}) != hash_of("t", row)


def test_a_hash_depends_on_the_table_and_on_the_row_before() -> None:
    assert len({hash_of("a", {}), hash_of("b", {}), hash_of("a", {}, "1:0"), hash_of("a", {}, "1:1")}) == 4


def test_the_log_is_a_chain_that_three_lines_of_any_language_can_check(desk: Desk, study: Study) -> None:
    desk.take(study.enrol(), study.done("INF1", "2026-01-05", platelets=41))
    desk.wake("ITP-001", datetime(2026, 1, 12, 2, tzinfo=UTC))
    before = ""
    for row in stored(desk.store, events):
        said = row.pop("hash")
        told = {name: value for name, value in row.items() if value is not None}
        line = json.dumps(told, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        before = "1:" + sha256(f"events\n{before}\n{line}".encode()).hexdigest()
        assert said == before
    [subject] = all_subjects(desk.store)
    assert subject.head == before


def test_every_row_that_is_written_has_the_hash_of_what_is_stored(lived: Desk) -> None:
    for table in HASHED:
        made = table.c.hash.info["made"]
        for row in stored(lived.store, table):
            assert row["hash"] == hash_of(table.name, {name: row[name] for name in made}), table.name
    for row in stored(lived.store, subjects):
        said = row.pop("hash")
        assert said == hash_of("subjects", row)
    assert {"notices", "deliveries", "attempts", "screening_log"} <= {
        table.name for table in HASHED if stored(lived.store, table)
    }


def test_a_study_of_an_earlier_version_gets_its_chain_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "study.db"
    dumped = sqlite3.connect(file)
    dumped.executescript(DUMP.read_text(encoding="utf-8"))
    dumped.close()
    store = Store.open(f"sqlite:///{file}")
    for subject in all_subjects(store):
        lines = [row for row in stored(store, events) if row["subject"] == subject.code]
        hashes = [row.pop("hash") for row in lines]
        assert hashes == list(chained("events", lines, ""))
        assert subject.head == hashes[-1]
    with store.reading() as connection:
        first = connection.execute(sa.select(registered)).first()
        assert first is not None
        assert (first.what, first.key.partition(" ")[2]) == (
            "began",
            "rows of an earlier version have their hashes from here on",
        )
        with pytest.raises(sa.exc.DBAPIError, match="append-only"):
            connection.execute(sa.text("UPDATE events SET hash = ''"))
    store.close()


def test_the_register_is_a_chain_and_knows_the_triggers(desk: Desk) -> None:
    lines = stored(desk.store, registered)
    hashes = [row.pop("hash") for row in lines]
    assert hashes == list(chained("register", lines, ""))
    with desk.store.writing() as connection:
        assert {row["key"]: row["row_hash"] for row in lines} == triggers_in(connection)
        assert register.lock(connection) == (len(lines), hashes[-1])
        with lifted(connection, "events"):
            assert not any("events" in name for name in triggers_in(connection) if name.startswith("sqlite"))
        assert {row["key"]: row["row_hash"] for row in lines} == triggers_in(connection)
