"""Records the events that a door receives, and does what follows from them.

First the events are recorded and decided upon, in the study's database alone. Then the due notices are handed
over. Last, the subject's flow run shows the new wait, if Prefect answers in time: otherwise the service's
repair shows it later. So a door works while Prefect is down. A door inside Prefect leaves the hand-over to
the service, so that its run ends with an answer however long a provider takes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from flows.prefect_api.flow_runs import JOURNEY, FlowRuns, PrefectRefused, PrefectSilent
from flows.study.roles import UNKNOWN, Sender
from flows.study.runtime import Runtime
from flows.study.wait_state import SubjectNow, waiting_state
from itp_events.events import Event
from tasks.advance import Advanced, Answer
from tasks.database.prefect_notes import remember_flow_runs

# A command waits so long for Prefect after it has recorded: the repair shows everything else.
SHOW_SECONDS = 1.0

log = logging.getLogger(__name__)


def record_and_show(
    study: Runtime, events: Sequence[Event], now: datetime, sender: Sender = UNKNOWN
) -> list[Answer]:
    """Record the events that `sender` may state, hand over the notices due, and show the new waits.

    Each event is recorded, known already, or refused by itself. The answers are in the order of the events.
    """
    answers = study.record(events, now, sender=sender)
    follow_up(answers, study.hand_over, partial(show, study))
    return answers


def follow_up(
    answers: Iterable[Answer],
    hand_over: Callable[[str], None],
    show: Callable[[Sequence[Advanced]], None],
    *,
    claimed: Collection[str] = (),
) -> None:
    """Hand over what is due of each subject, then show the new waits.

    Every door keeps this order, in its own threads and with its own patience: `hand_over` takes a subject's
    code, `show` takes each subject once, as its last event left it. The notices of the subjects `claimed`
    were claimed when the events were recorded.
    """
    moved = {answer.advanced.code: answer.advanced for answer in answers if answer.advanced}
    for subject in moved.values():
        if subject.code in claimed or subject.due_notices:
            hand_over(subject.code)
    if moved:
        show(list(moved.values()))


def show(study: Runtime, moved: Sequence[Advanced], seconds: float = SHOW_SECONDS) -> None:
    """Show each subject's wait on its flow run; after so many seconds the rest is left to the repair."""
    runs = FlowRuns(study.prefect_api, seconds)
    deadline = time.monotonic() + seconds
    try:
        for advanced in moved:
            if time.monotonic() > deadline:
                raise PrefectSilent("there was more to show than a second allows")
            _show_if_taken(study, runs, advanced)
    except PrefectSilent as reason:
        log.info("Prefect's UI shows the new wait later: %s", reason)
    finally:
        runs.close()


def _show_if_taken(study: Runtime, runs: FlowRuns, advanced: Advanced) -> None:
    try:
        show_one(study, runs, advanced)
    except PrefectRefused as reason:
        log.warning("The new wait of %s could not be shown; the repair will: %s", advanced.code, reason)


Remember = Callable[[Runtime, str, str], None]
"""Notes, in a study, which flow run carries the journey of a subject: the subject's code, the run's id."""


def remember_at_once(study: Runtime, code: str, run: str) -> None:
    """Note it now."""
    remember_flow_runs(study.store, {code: run})


def show_one(
    study: Runtime, runs: FlowRuns, subject: SubjectNow, remember: Remember = remember_at_once
) -> None:
    """Show one subject's wait on its flow run, and create the run when there is none.

    Raises PrefectProblem.
    """
    run = runs.read(UUID(subject.flow_run_id)) if subject.flow_run_id else None
    if run is None or run.key != subject.code:
        # Prefect creates none where there is one, and answers with that one: nobody asks first.
        start_journey(study, runs, subject, remember)
    elif run.state_type == "SCHEDULED":
        runs.propose(run.id, waiting_state(subject, study.clock))


def start_journey(
    study: Runtime, runs: FlowRuns, subject: SubjectNow, remember: Remember = remember_at_once
) -> bool:
    """Create the subject's flow run, or find the one there is; return False when Prefect has no deployment.

    A run that there is and that waits for something else is shown the new wait.

    Raises PrefectProblem.
    """
    journeys = runs.deployment(JOURNEY)
    if journeys is None:
        return False
    state = waiting_state(subject, study.clock)
    run = runs.create(journeys, subject.code, state, subject.tags)
    remember(study, subject.code, str(run.id))
    if run.state_type == "SCHEDULED" and not run.waits_as(state):
        runs.propose(run.id, state)
    return True
