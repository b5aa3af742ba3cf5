"""Nothing that is shown or exported depends on the order in which a database happens to keep its rows."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from deployments.export import export
from tasks.audit.entries import Wanted
from tasks.audit.reading import audit
from tasks.board.reading import fresh_cards
from tasks.database import queries, service_log
from tasks.database.event_log import Origin
from tasks.database.schema import metadata
from tasks.database.store import Store
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


def shown(desk: Desk, folder: Path) -> dict[str, object]:
    """All that the study's people read."""
    export(desk.store, desk.protocol, NOW, folder, Report(()))
    found: dict[str, object] = {
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
