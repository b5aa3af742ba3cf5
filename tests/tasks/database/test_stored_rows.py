"""The order in which a database keeps its rows changes nothing that is shown; a damaged instant takes nothing
else away.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from deployments.export import export
from tasks.audit.entries import Wanted
from tasks.audit.reading import audit
from tasks.board.reading import fresh_cards
from tasks.database import queries, service_log
from tasks.database.event_log import Origin
from tasks.database.schema import Instant, metadata
from tasks.database.store import Store
from tasks.database.troubles import note_trouble, settle_woken
from tasks.delivery import alarms
from tasks.integrity.verify import Report
from tests.support.damage import without_triggers
from tests.tasks.conftest import NOW
from tests.tasks.desk import Desk

pytestmark = pytest.mark.requirement("AUD-01")

CODES = ("ITP-001", "ITP-002")
MANIFEST = "manifest.json"


def turned_round(store: Store) -> int:
    """Keep the rows of each table in the opposite order, as after a repair of the file; how many tables."""
    turned = 0
    with store.writing() as connection:
        without_triggers(connection)
        for table in metadata.tables.values():
            rows = [dict(row) for row in connection.execute(sa.select(table)).mappings()]
            connection.execute(table.delete())
            if rows:
                connection.execute(table.insert(), rows[::-1])
            turned += len(rows) > 1
    return turned


def shown(desk: Desk, folder: Path) -> dict[str, Any]:
    """All that the study's people read."""
    export(desk.store, desk.protocol, NOW, folder, Report(()))
    found: dict[str, Any] = {
        path.name: path.read_text(encoding="utf-8") for path in folder.iterdir() if path.name != MANIFEST
    }
    found["audit"] = audit(desk.store, desk.protocol, Wanted())
    found["subjects"] = queries.all_subjects(desk.store)
    found["cards"] = fresh_cards(desk.store, desk.protocol, NOW)
    for code in (*CODES, None):
        found[f"notices {code}"] = queries.notices_of(desk.store, code)
        found[f"attempts {code}"] = queries.attempts_of(desk.store, code)
    return found


def test_nothing_that_is_shown_depends_on_where_rows_are_kept(lived: Desk, tmp_path: Path) -> None:
    with lived.store.writing() as connection:
        for setting in ("ITP_B", "ITP_C", "ITP_A"):
            change = {"place": "here", "before": None, "after": "1"}
            service_log.note(connection, "settings", setting, Origin(None, "cli"), NOW, change)
    before = shown(lived, tmp_path / "before")
    assert turned_round(lived.store) > 5, "there is nothing to be turned round"
    after = shown(lived, tmp_path / "after")
    for name, what in before.items():
        assert after[name] == what, name


INSTANTS = [each for table in metadata.tables.values() for each in table.c if isinstance(each.type, Instant)]


@pytest.mark.parametrize("damage", ["not a time", "2026-01-06T03:00:00"])
def test_a_damaged_instant_of_any_table_takes_nothing_else_away(
    lived: Desk, damage: str, tmp_path: Path
) -> None:
    for about in ("ITP-001", "backup"):
        note_trouble(lived.store, about, "it is so", NOW - timedelta(hours=1))
    before = shown(lived, tmp_path / "before")
    damaged = 0
    for column in INSTANTS:
        instant = _first(lived.store, column)
        if instant is None:
            continue
        _replaced(lived.store, column, instant, damage)
        after = shown(lived, tmp_path / str(column))
        settle_woken(lived.store, NOW)
        alarms.tell(lived.store, NOW)
        _replaced(lived.store, column, damage, instant)
        damaged += 1
        for what in ("audit", "subjects", "notices ITP-002"):
            assert len(after[what]) == len(before[what]), f"{what}, {column}"
    assert damaged > 15, "there is little to be damaged"


def _first(store: Store, column: sa.Column[object]) -> str | None:
    """The least instant of a column, as it is stored."""
    with store.reading() as connection:
        text: str | None = connection.scalar(sa.select(sa.func.min(sa.type_coerce(column, sa.Text))))
    return text


def _replaced(store: Store, column: sa.Column[object], old: str, new: str) -> None:
    with store.writing() as connection:
        without_triggers(connection)
        stored = sa.table(column.table.name, sa.column(column.name, sa.Text))
        connection.execute(sa.update(stored).where(stored.c[column.name] == old).values({column.name: new}))
