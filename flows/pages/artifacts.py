"""Prefect's artifacts, each under a key of the study's: made once and updated in place, so its address stays.

Their contents are made by `flows.pages.subject_pages` and `flows.pages.board_page`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flows.prefect_api.ui import PrefectUI
from tasks.board import keeping, links, reading
from tasks.database.store import Store


@dataclass(frozen=True)
class Artifacts:
    """The study's artifacts in one Prefect; every call that shows something may raise PrefectProblem."""

    store: Store
    prefect: PrefectUI

    def show(self, key: str, kind: str, data: Any, about: str, run: str | None = None) -> None:
        """Show `data` under a key; a new artifact also stands on the page of a flow run."""
        known = self.id(key)
        if known and self.prefect.update_artifact(known, data, about):
            return
        self.remember(key, self.prefect.create_artifact(key, kind, data, about, run))

    def id(self, key: str) -> str | None:
        """The id of the artifact under a key; None when none was made."""
        return reading.artifact_id(self.store, key)

    def address(self, key: str) -> str | None:
        """The page of the artifact under a key, within Prefect's UI; None when none was made."""
        known = self.id(key)
        return links.artifact(known) if known else None

    def has(self, key: str) -> bool:
        """Whether Prefect still has the artifact under a key."""
        known = self.id(key)
        return known is not None and self.prefect.has_artifact(known)

    def remember(self, key: str, artifact: str) -> None:
        """Note the id of the artifact under a key."""
        keeping.remember_artifact(self.store, key, artifact)
