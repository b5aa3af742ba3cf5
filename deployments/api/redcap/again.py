"""Fetches the forms that could not be fetched when their trigger came: REDCap calls only once."""

from __future__ import annotations

import logging
import threading

from deployments.api.http.dependencies import ApiContext
from deployments.api.redcap.client import Trigger
from deployments.api.redcap.form import DOOR, WAITING, take_form
from deployments.api.redcap.project import Project
from tasks.database.dead_letters import open_dead_letters

EVERY_SECONDS = 60.0

log = logging.getLogger(__name__)


class FetchAgain(threading.Thread):
    """Tries the unfetched forms each minute until `stop`, and at once those that a busy door left."""

    def __init__(self, api: ApiContext, project: Project) -> None:
        super().__init__(name="redcap", daemon=True)
        self._context, self._project = api, project
        self._asked = threading.Event()

    def run(self) -> None:
        """Try until `stop`; called by `start`."""
        while True:
            self._project.waiting.wait(EVERY_SECONDS)
            self._project.waiting.clear()
            if self._asked.is_set():
                return
            try:
                fetch_again(self._context, self._project)
            except Exception:
                log.exception("The forms that REDCap did not give could not be tried again; the next minute.")

    def stop(self) -> None:
        """Try nothing more."""
        self._asked.set()
        self._project.waiting.set()


def fetch_again(api: ApiContext, project: Project) -> None:
    """Try each form that could not be fetched, oldest first."""
    for trigger in _unfetched(api):
        if not project.turns.is_taken(trigger):
            take_form(api, project, trigger)


def _unfetched(api: ApiContext) -> list[Trigger]:
    """The triggers of forms that could not be fetched: their dead letter holds the trigger itself."""
    names = Trigger.__dataclass_fields__.keys()
    left = [each.body for each in open_dead_letters(api.study.store) if each.door in (DOOR, WAITING)]
    triggers = [Trigger(**body) for body in left if isinstance(body, dict) and body.keys() == names]
    return list(dict.fromkeys(triggers))
