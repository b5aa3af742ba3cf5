"""Asks REDCap again for the forms that it did not give: its trigger calls only once.

Of the processes of a study one does it. The forms that a busy door left are taken at once by the process
whose door it was.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from deployments.api.http.dependencies import Recorder
from deployments.api.redcap.form import DOOR, WAITING, FormOutcome, take_form
from deployments.api.redcap.lead import leads
from deployments.api.redcap.project import Project
from deployments.api.redcap.rows import SavedForm
from deployments.api.redcap.trouble import RedcapUnsuited
from tasks.backoff import Backoff, Waits
from tasks.database.dead_letters import open_dead_letters

EVERY_SECONDS = 60.0
# A form that REDCap answers without giving it. It costs a request each time, and somebody has to mend
# something first: rights, the mapping, or the form.
NOT_GIVEN = Waits(timedelta(minutes=1), timedelta(hours=1))

log = logging.getLogger(__name__)


class Retries:
    """Asks again for the forms that were not given, each at its own pace.

    It counts by the clock of the process, and is used by one thread.
    """

    def __init__(self) -> None:
        self._pace = Backoff(NOT_GIVEN)
        self._tried: dict[SavedForm, float] = {}

    def round(
        self,
        api: Recorder,
        project: Project,
        *,
        waiting_only: bool = False,
        is_asked_to_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Ask for each form whose time has come, those that were tried last at the end.

        The round ends where REDCap itself does not answer: the next one begins with another form.
        """
        doors = (WAITING,) if waiting_only else (DOOR, WAITING)
        pending = _unfetched(api, doors)
        self._tried = {form: at for form, at in self._tried.items() if form in pending}
        for form in sorted(pending, key=lambda each: self._tried.get(each, 0.0)):
            if is_asked_to_stop():
                return
            if self._pace.is_over(str(form)) and not self._ask(api, project, form):
                return

    def _ask(self, api: Recorder, project: Project, form: SavedForm) -> bool:
        """Ask for one form; False when REDCap gives nothing at all at present."""
        self._tried[form] = time.monotonic()
        taken = take_form(api, project, form, background=True)
        if taken.failure is not None and not isinstance(taken.failure, RedcapUnsuited):
            return False
        if _is_asked_for_again(taken, form):
            self._pace.failed(str(form))
        else:
            self._pace.succeeded(str(form))
        return True


def _is_asked_for_again(taken: FormOutcome, form: SavedForm) -> bool:
    return any(body == vars(form) for _, body in taken.left)


def fetch_again(api: Recorder, project: Project) -> None:
    """Ask at once for every form that was not given."""
    Retries().round(api, project)


class FetchAgain(threading.Thread):
    """Tries the unfetched forms each minute until `stop`, and at once those that a busy door left."""

    def __init__(self, api: Recorder, project: Project) -> None:
        super().__init__(name="redcap", daemon=True)
        self._context, self._project = api, project
        self._asked = threading.Event()
        self._retries = Retries()

    def run(self) -> None:
        """Try until `stop`; called by `start`."""
        next_round = time.monotonic() + EVERY_SECONDS
        while True:
            was_called = self._project.waiting.wait(max(0.0, next_round - time.monotonic()))
            self._project.waiting.clear()
            if self._asked.is_set():
                return
            if not was_called:
                next_round = time.monotonic() + EVERY_SECONDS
            try:
                self._round(waiting_only=was_called)
            except Exception:
                log.exception("The forms that REDCap did not give could not be tried again; the next minute.")

    def stop(self) -> None:
        """Try nothing more."""
        self._asked.set()
        self._project.waiting.set()

    def _round(self, *, waiting_only: bool) -> None:
        if waiting_only or leads(self._project):
            stop = self._asked.is_set
            self._retries.round(
                self._context, self._project, waiting_only=waiting_only, is_asked_to_stop=stop
            )


def _unfetched(api: Recorder, doors: tuple[str, ...]) -> list[SavedForm]:
    """The triggers of forms that could not be fetched: their dead letter holds the trigger itself."""
    names = SavedForm.__dataclass_fields__.keys()
    left = [each.body for each in open_dead_letters(api.study.store) if each.door in doors]
    triggers = [SavedForm(**body) for body in left if isinstance(body, dict) and body.keys() == names]
    return list(dict.fromkeys(triggers))
