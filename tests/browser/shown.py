"""The gallery's study, shown by the whole service in a Prefect of its own."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployments.bootstrap.clock import Clock
from flows.prefect_api.flow_runs import JOURNEY
from tasks.board.links import BOARD, WORK_LISTS
from tests.support.gallery import SUBJECTS, gallery
from tests.support.receiver import Receiver
from tests.support.service import Service
from tests.support.waiting import wait_until


class Shown:
    """A running service, and the addresses of what it shows."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.ui = service.settings.prefect_api.removesuffix("/api")

    def artifact(self, key: str) -> str:
        """The page of the artifact under a key, once it is there."""
        found = wait_until(lambda: self._id(key), f"the artifact {key}", every=1.0)
        return f"{self.ui}/artifacts/artifact/{found}"

    def work_list(self, name: str) -> str:
        """The page of a work list, as the board leads to it."""
        journeys = self.service.flow_runs.deployment(JOURNEY)
        found = next(each for each in WORK_LISTS if each.name == name)
        return f"{self.ui}{found.address(Clock().now().date(), str(journeys.flow_id) if journeys else None)}"

    def is_complete(self) -> bool:
        """Whether every subject's page is there and the board was made of all of them."""
        if self._count() < len(SUBJECTS):
            return False
        board = self.service.flow_runs.call("GET", f"/artifacts/{BOARD}/latest", absent_is_none=True)
        return board is not None and f"{len(SUBJECTS)} subjects enrolled" in board["data"]

    def _id(self, key: str) -> str | None:
        return self._one("SELECT id FROM shown_artifacts WHERE key = ?", key)

    def _count(self) -> int:
        return int(self._one("SELECT count(*) FROM cards") or 0)

    def _one(self, query: str, *values: str) -> str | None:
        with sqlite3.connect(self.service.data_dir / "study.db") as study:
            row = study.execute(query, values).fetchone()
        return row[0] if row else None


@contextmanager
def shown_gallery(directory: Path) -> Iterator[Shown]:
    """Fill a study, start the service on it, and wait until everything is shown."""
    data = directory / "study"
    data.mkdir(parents=True, exist_ok=True)
    found = gallery(data, Clock().now())
    found.fill()
    found.store.close()
    with Receiver() as receiver:
        service = Service(data, receiver)
        service.start(ready=False)
        try:
            shown = Shown(service)
            wait_until(shown.is_complete, "everything to be shown", every=2.0)
            yield shown
        finally:
            service.close()
