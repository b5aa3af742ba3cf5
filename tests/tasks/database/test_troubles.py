"""A trouble that is over stands no more, whichever threads note and settle at once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from tasks.database import troubles
from tasks.database.store import Store
from tasks.database.troubles import Trouble, Troubles, open_troubles
from tests.tasks.conftest import NOW

pytestmark = pytest.mark.requirement("RUN-06")

HELD_SECONDS = 0.5


def test_a_trouble_noted_while_another_thread_reads_for_the_first_time_is_settled(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(sqlite_url)
    known, reads, noted = Troubles(store), Event(), Event()

    def read_slowly(store: Store) -> list[Trouble]:
        found = open_troubles(store)
        if not reads.is_set():
            reads.set()
            noted.wait(HELD_SECONDS)
        return found

    monkeypatch.setattr(troubles, "open_troubles", read_slowly)
    with ThreadPoolExecutor() as threads:
        other = threads.submit(known.settle, "ITP-002")
        assert reads.wait(10), "nobody reads"
        known.note("ITP-001", "its log is damaged", NOW)
        noted.set()
        other.result()
    known.settle("ITP-001")
    assert open_troubles(store) == []
    store.close()
