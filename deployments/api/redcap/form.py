"""Fetches a saved form from REDCap, maps it to an event, and records the event.

A form that was saved again unchanged changes nothing. A form that was changed voids its earlier event, also
of another subject when the code was wrong, and states a new one. A form that cannot be mapped or recorded is
kept as a dead letter.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from deployments.api.http.dependencies import Recorder
from deployments.api.recording import take_in
from deployments.api.redcap.mapping import Mapping, hidden, read_data, subject_code, unmapped
from deployments.api.redcap.project import Project
from deployments.api.redcap.rows import RedcapHasNone, Row, SavedForm
from deployments.api.redcap.statements import (
    Elsewhere,
    Stated,
    elsewhere,
    is_same_thing,
    name_of,
    remember,
    stated,
)
from deployments.api.redcap.trouble import RedcapSilent, RedcapWaits
from flows.study.roles import Speaker
from itp_events.errors import BadInput
from itp_events.events import Event, parse_event
from tasks.database.dead_letters import keep, keep_anew, newest, settle
from tasks.database.redcap import end_turn, take_turn
from tasks.database.store import NO_ANSWER

DOOR = "redcap"
_ID_REUSED = "urn:itp:problem:id-reused"
# REDCap calls only once: a trigger is kept under this name until its form has been fetched.
WAITING = "redcap-waiting"
COMPLETE = "2"
_ENROLLED, _LAST_DAY = "itp.subject.enrolled", "9999-12-31"
# REDCap names its user in the form: nobody is signed in here.
REDCAP = Speaker(said="this request has the role recorder", door="redcap")
# More unmapped fields than this are one dead letter, not one each.
MOST_FIELDS = 50
# A process that died while it took a form loses the form's turn after so long: longer than REDCap and the
# database may take.
TURN = timedelta(seconds=120)
# How often a form is taken again at once because it was saved meanwhile.
LOOKS = 5

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FormOutcome:
    """The outcome of a form: the results of its events, and the problems that are kept, each with its body.

    `failure` is set when REDCap did not give the form, which is asked for again.
    """

    results: Sequence[dict[str, Any]] = ()
    left: Sequence[tuple[str, Any]] = ()
    failure: RedcapSilent | None = None

    def shown(self, form: SavedForm) -> dict[str, Any]:
        """The answer to a trigger."""
        problems = [problem for problem, _ in self.left]
        return {"form": str(form), "results": list(self.results), "left": problems}


def receive(api: Recorder, project: Project, said: SavedForm) -> FormOutcome:
    """Keep a trigger, then take its form; when all fetchers are busy, leave it to another thread."""
    note_trigger(api, said)
    if not project.fetchers.acquire(blocking=False):
        project.waiting.set()
        return _waits("REDCap is slow at present")
    try:
        return take_form(api, project, said)
    finally:
        project.fetchers.release()


def note_trigger(api: Recorder, said: SavedForm) -> None:
    """Write a trigger down, so that its form is taken even if this process ends."""
    now = api.study.clock.now()
    keep_anew(api.study.store, WAITING, str(said), "waits to be fetched", vars(said), now)


def _waits(why: str, failure: RedcapSilent | None = None) -> FormOutcome:
    return FormOutcome(left=[(f"waits to be fetched: {why}", None)], failure=failure)


def take_form(api: Recorder, project: Project, said: SavedForm, *, background: bool = False) -> FormOutcome:
    """Fetch a form and record its event; keep as a dead letter what cannot be mapped or recorded.

    Of all processes one at a time takes a form. A trigger that comes meanwhile is kept, and the process that
    takes the form then looks at it once more.
    """
    taken = _waits("it is being fetched")
    for _ in range(LOOKS):
        in_turn = _take_in_turn(api, project, said, background=background)
        if in_turn is None:
            return taken
        taken = in_turn
        if taken.failure is not None or not newest(api.study.store, WAITING, str(said)):
            return taken
    project.waiting.set()
    return taken


def _take_in_turn(
    api: Recorder, project: Project, said: SavedForm, *, background: bool
) -> FormOutcome | None:
    """Take a form while nobody else does; None when somebody does."""
    store, holder, now = api.study.store, secrets.token_hex(8), project.wall()
    if not take_turn(store, str(said), holder, now, now + TURN):
        return None
    try:
        seen = newest(store, WAITING, str(said))
        taken = _look_safely(api, project, said, background=background)
        if not isinstance(taken.failure, RedcapWaits):
            now = api.study.clock.now()
            keep(store, DOOR, str(said), taken.left, now)
            settle(store, WAITING, str(said), seen, now)
        return taken
    finally:
        end_turn(store, str(said), holder)


def _look_safely(api: Recorder, project: Project, said: SavedForm, *, background: bool) -> FormOutcome:
    try:
        return _look(api, project, said, background=background)
    except NO_ANSWER:
        # Nothing can be kept now; a trigger that came through the door is kept already.
        raise
    except RedcapWaits as error:
        return _waits(str(error), error)
    except RedcapSilent as error:
        return FormOutcome(left=[(str(error), vars(said))], failure=error)
    except Exception:
        log.exception("The form %s could not be taken; it is kept and tried again.", said)
        return FormOutcome(left=[("the service failed at this form; its log says more", vars(said))])


def _look(api: Recorder, project: Project, said: SavedForm, *, background: bool) -> FormOutcome:
    mapping = project.mapping
    before = stated(api.study.store, mapping.source, said)
    try:
        record = project.redcap.export(said, mapping, background=background)
    except RedcapHasNone as error:
        return FormOutcome(left=[(str(error), vars(said) | {"is_final": True})])
    if said.instrument not in mapping.instruments:
        return FormOutcome(left=[("the mapping does not know this instrument", record)])
    if not is_complete(mapping, said, record):
        return FormOutcome()
    if problem := _not_given(mapping, said, record):
        return FormOutcome(left=[(problem, vars(said))])
    left = _without_place(unmapped(mapping, said.instrument, record))
    try:
        results = _record(api, project, said, record, before)
    except BadInput as error:
        return FormOutcome(left=[*left, (str(error), record)])
    return FormOutcome(
        results, left + [(each["detail"], _kept(each, said, record)) for each in results if "detail" in each]
    )


def _kept(result: dict[str, Any], said: SavedForm, record: Row) -> Any:
    """The part of a refused event to keep: its record, or the trigger where another try may succeed."""
    return vars(said) if result.get("type") == _ID_REUSED else record


def is_complete(mapping: Mapping, said: SavedForm, record: Row) -> bool:
    """Whether a form states its event; a status that REDCap does not export is taken for no answer."""
    wanted = mapping.instruments[said.instrument].when_complete
    return not wanted or record.get(f"{said.instrument}_complete", COMPLETE) == COMPLETE


def _not_given(mapping: Mapping, said: SavedForm, record: Row) -> str:
    """The reason why rights hide a record's form; empty when all of it is there.

    A record without a subject states nothing: that is said first.
    """
    if mapping.subject in record and not subject_code(mapping, record):
        return ""
    if missing := hidden(mapping, said.instrument, record):
        return (
            f"{', '.join(missing)}: REDCap exports no such column; give the API user the export rights "
            "Full Data Set on its form, or take it out of the mapping"
        )
    name = record.get(mapping.record_id, said.record)
    if name.casefold() != said.record.casefold():
        return (
            f"{mapping.record_id}: REDCap exports {name!r} for record {said.record!r}; give the API user the "
            "export rights Full Data Set, so that record names are not hashed"
        )
    return ""


def _without_place(fields: Row) -> list[tuple[str, Any]]:
    if len(fields) > MOST_FIELDS:
        return [(f"{len(fields)} fields: no place in the mapping", fields)]
    return [(f"{field}: no place in the mapping", {field: value}) for field, value in fields.items()]


def news(api: Recorder, project: Project, said: SavedForm, record: Row) -> str | None:
    """The day that a record's form speaks of, where it says something new; None where it does not.

    A form that cannot be mapped is news of the last day of all. An enrolment comes before everything else.
    """
    mapping = project.mapping
    if not is_complete(mapping, said, record):
        return None
    if _not_given(mapping, said, record):
        return _LAST_DAY
    before = stated(api.study.store, mapping.source, said)
    try:
        event = parse_event(_written(api, mapping, said, record, before))
    except BadInput:
        return _LAST_DAY
    if _same(event, before, _elsewhere(api, mapping, said, event, before)) is not None:
        return None
    return "" if event.type == _ENROLLED else str(getattr(event.data, "on", None) or _LAST_DAY)


def _record(
    api: Recorder, project: Project, said: SavedForm, record: Row, before: Stated
) -> list[dict[str, Any]]:
    mapping, store = project.mapping, api.study.store
    written = _written(api, mapping, said, record, before)
    event = parse_event(written)
    others = _elsewhere(api, mapping, said, event, before)
    if same := _same(event, before, others):
        return take_in(api, [same.to_json()], REDCAP)
    renamed = [each.event for each in others if _is_renamed(project, said, each, event)]
    remember(store, mapping.source, event.id, said)
    return take_in(api, [*(_void(each, written) for each in (*before.valid, *renamed)), written], REDCAP)


def _written(api: Recorder, mapping: Mapping, said: SavedForm, record: Row, before: Stated) -> dict[str, Any]:
    """The event that a form states, under the next number of the form."""
    return {
        "specversion": "1.0",
        "id": f"{name_of(said)}#{before.number + 1}",
        "source": mapping.source,
        "type": mapping.instruments[said.instrument].event,
        "subject": subject_code(mapping, record),
        "time": api.study.clock.now().isoformat(),
        "data": read_data(mapping, said.instrument, record, said.event),
    }


def _elsewhere(
    api: Recorder, mapping: Mapping, said: SavedForm, event: Event, before: Stated
) -> Sequence[Elsewhere]:
    """The events that the form stated under another name of its record; none once it stated under this."""
    return () if before.valid else elsewhere(api.study.store, mapping.source, said, event.subject)


def _same(event: Event, before: Stated, others: Sequence[Elsewhere]) -> Event | None:
    """The valid event that says the same; None when the form says something new."""
    content = (event.subject, event.type, event.data)
    stands = (*before.valid[-1:], *(each.event for each in others))
    return next((each for each in stands if (each.subject, each.type, each.data) == content), None)


def _is_renamed(project: Project, said: SavedForm, other: Elsewhere, event: Event) -> bool:
    """Whether a form continues what the same form of a record that is gone said of the same thing.

    While REDCap has a record of the old name, the two are two.
    """
    if not is_same_thing(other.event, event):
        return False
    return other.record == said.record or not project.redcap.has_record(other.record, project.mapping)


def _void(event: Event, stated: dict[str, Any]) -> dict[str, Any]:
    data = {"by": stated["data"]["by"], "event": {"source": event.source, "id": event.id}}
    reason = {"reason": "the form was changed in REDCap"}
    named = {"id": f"{event.id}~void", "type": "itp.event.voided", "subject": event.subject}
    return stated | named | {"data": data | reason}
