"""Takes in events: reads, judges and records them one by one, and answers each with a result of its own.

Every HTTP door records through this module. background.py acts on its answers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

from deployments.api.http import problems
from deployments.api.http.dependencies import Recorder
from flows.study.roles import Sender
from itp_events.errors import Forbidden, ItpError
from itp_events.events import Event, parse_event
from itp_events.outputs.plan_json import instant
from tasks.advance import Answer, in_groups
from tasks.database.queries import subject
from tasks.delivery.claims import NOTHING

log = logging.getLogger(__name__)


def take_in(api: Recorder, stated: Sequence[object], sender: Sender) -> list[dict[str, Any]]:
    """Record the events that are well-formed and permitted to the sender.

    Returns one result for each stated event, in their order: its outcome, or problem details.
    """
    read = [_read(_filled_in(each, sender)) for each in stated]
    events = [each for each in read if isinstance(each, Event)]
    answers = _record(api, events, sender) if events else []
    _note_unread(api, stated, read)
    recorded = iter(answers)
    return [
        _result(api, next(recorded)) if isinstance(each, Event) else _malformed(each, value)
        for each, value in zip(read, stated, strict=True)
    ]


def _record(api: Recorder, events: Sequence[Event], sender: Sender) -> list[Answer]:
    """Record a few subjects at a time, so that the notices of the first do not wait for the last."""
    answers: dict[int, Answer] = {}
    for group in in_groups(events):
        places = [place for of_one in group for place in of_one]
        given = _record_group(api, [events[place] for place in places], len(group), sender)
        answers |= zip(places, given, strict=True)
    return [answers[place] for place in range(len(events))]


def _record_group(api: Recorder, events: Sequence[Event], subjects: int, sender: Sender) -> list[Answer]:
    with api.background.places(subjects) as are_kept:
        now = api.study.clock.now()
        at_once = api.study.claiming(now) if are_kept else None
        answers = api.study.record(events, now, sender=sender, at_once=at_once)
        api.background.follow(answers, at_once.by_subject if at_once else NOTHING)
    return answers


def _filled_in(value: object, sender: Sender) -> object:
    """The statement, with the account of the sender for a `by` that is left out."""
    data = value.get("data") if isinstance(value, dict) else None
    if sender.by is None or not isinstance(data, dict) or data.get("by") is not None:
        return value
    return {**value, "data": {**data, "by": sender.by}}  # type: ignore[dict-item]


def _read(value: object) -> Event | ItpError:
    try:
        return parse_event(value)
    except ItpError as error:
        return error


def _note_unread(api: Recorder, stated: Iterable[object], read: Iterable[Event | ItpError]) -> None:
    for value, each in zip(stated, read, strict=True):
        if isinstance(each, ItpError):
            kind = value.get("type") if isinstance(value, dict) else None
            api.study.refusals.unread(kind, each)


def _malformed(error: ItpError, value: object) -> dict[str, Any]:
    named = value if isinstance(value, dict) else {}
    same = {name: named[name] for name in ("source", "id") if isinstance(named.get(name), str)}
    return problems.of_error(error) | same


def _result(api: Recorder, answer: Answer) -> dict[str, Any]:
    named = {"source": answer.event.source, "id": answer.event.id}
    if isinstance(answer.error, Forbidden):
        log.warning("403 event %r of %s: %s", answer.event.key, answer.event.subject, answer.error)
    if answer.error is not None:
        return problems.of_error(answer.error) | named
    status = HTTPStatus.CREATED if answer.status == "recorded" else HTTPStatus.OK
    result: dict[str, Any] = {"status": int(status), "outcome": answer.status, **named}
    result["subject"] = answer.event.subject
    subject_now = answer.advanced or subject(api.study.store, answer.event.subject)
    if subject_now is not None:
        wake = subject_now.wake_at
        result |= {"state": subject_now.state, "wake_at": instant(wake) if wake else None}
    return result
