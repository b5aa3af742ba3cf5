"""POST /events: one CloudEvent or an array of them, each recorded, known already or refused by itself."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from deployments.api import problems
from deployments.api.auth import Recorder
from deployments.api.body import parse_json, read_json_text
from deployments.api.parts import Given, Parts
from deployments.api.problems import Problem
from deployments.api.schemas import EVENTS_BODY, EVENTS_RESPONSES
from deployments.api.tokens import Role, includes
from flows.authority import Speaker
from itp_events.document import instant
from itp_events.errors import BadEvent, Forbidden, ItpError
from itp_events.events import Event, parse_event
from tasks.advance import Answer
from tasks.queries import subject

MAX_EVENTS = 1000

router = APIRouter()
log = logging.getLogger(__name__)


@router.post(
    "/events",
    tags=["events"],
    summary="Record one event, or several at once",
    openapi_extra={"requestBody": EVENTS_BODY},
    responses=EVENTS_RESPONSES,
    status_code=HTTPStatus.CREATED,
)
async def record_events(request: Request, parts: Given, role: Recorder) -> JSONResponse:
    """Each event is judged by itself, in the study's order; `source` and `id` together count once.

    The same pair again changes nothing and answers 200. An array answers with an array, in its order: with
    the status that all its events share, else 207. Of a void and its restatement in one array both are
    recorded or neither.
    """
    return await parts.in_door(answer_to, parts, await read_json_text(request), role)


def answer_to(parts: Parts, body: bytes, role: Role, source: str | None = None) -> JSONResponse:
    """Record one event or an array of them, given as JSON; all of one source, when it is given."""
    stated = parse_json(body)
    if not isinstance(stated, list):
        return _one(take_in(parts, [stated], role, source)[0])
    return _several(take_in(parts, _bounded(stated), role, source))


def _bounded(stated: list[Any]) -> list[Any]:
    if not stated:
        raise BadEvent("an array of events must hold at least one")
    if len(stated) > MAX_EVENTS:
        said = f"at most {MAX_EVENTS} events at a time, not {len(stated)}"
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-many", said)
    return stated


def take_in(
    parts: Parts, stated: Sequence[object], role: Role, source: str | None = None
) -> list[dict[str, Any]]:
    """Record what is well-formed and permitted to the role; one result for each, in their order."""
    read = [_read(each) for each in stated]
    events = [each for each in read if isinstance(each, Event)]
    answers = _record(parts, events, _speaker(role, source)) if events else []
    _note_unread(parts, stated, read)
    recorded = iter(answers)
    return [
        _result(parts, next(recorded)) if isinstance(each, Event) else _malformed(each, value)
        for each, value in zip(read, stated, strict=True)
    ]


def _speaker(role: Role, source: str | None) -> Speaker:
    return Speaker(includes(role, "investigator"), source, f"this request has the role {role}")


def _record(parts: Parts, events: Sequence[Event], speaker: Speaker) -> list[Answer]:
    """Record one subject after the other: what is due for the first does not wait for the last."""
    by_subject: dict[str, list[int]] = {}
    for place, event in enumerate(events):
        by_subject.setdefault(event.subject, []).append(place)
    answers: dict[int, Answer] = {}
    for places in by_subject.values():
        of_one = _record_of_one(parts, [events[place] for place in places], speaker)
        answers |= zip(places, of_one, strict=True)
    return [answers[place] for place in range(len(events))]


def _record_of_one(parts: Parts, events: Sequence[Event], speaker: Speaker) -> list[Answer]:
    with parts.follower.place() as is_kept:
        now = parts.study.clock.now()
        answers = parts.study.record(events, now, speaker=speaker, at_once=is_kept)
        parts.follower.follow(answers)
    return answers


def _read(value: object) -> Event | ItpError:
    try:
        return parse_event(value)
    except ItpError as error:
        return error


def _note_unread(parts: Parts, stated: Iterable[object], read: Iterable[Event | ItpError]) -> None:
    for value, each in zip(stated, read, strict=True):
        if isinstance(each, ItpError):
            kind = value.get("type") if isinstance(value, dict) else None
            parts.study.refusals.unread(kind, each)


def _malformed(error: ItpError, value: object) -> dict[str, Any]:
    named = value if isinstance(value, dict) else {}
    same = {name: named[name] for name in ("source", "id") if isinstance(named.get(name), str)}
    return problems.of_error(error) | same


def _result(parts: Parts, answer: Answer) -> dict[str, Any]:
    named = {"source": answer.event.source, "id": answer.event.id}
    if isinstance(answer.error, Forbidden):
        log.warning("403 event %r of %s: %s", answer.event.key, answer.event.subject, answer.error)
    if answer.error is not None:
        return problems.of_error(answer.error) | named
    status = HTTPStatus.CREATED if answer.status == "recorded" else HTTPStatus.OK
    result: dict[str, Any] = {"status": int(status), "outcome": answer.status, **named}
    result["subject"] = answer.event.subject
    standing = answer.advanced or subject(parts.study.store, answer.event.subject)
    if standing is not None:
        wake = standing.wake_at
        result |= {"state": standing.state, "wake_at": instant(wake) if wake else None}
    return result


def _one(result: dict[str, Any]) -> JSONResponse:
    return problems.answer(result) if "type" in result else JSONResponse(result, result["status"])


def _several(results: list[dict[str, Any]]) -> JSONResponse:
    statuses = {result["status"] for result in results}
    return JSONResponse(results, statuses.pop() if len(statuses) == 1 else HTTPStatus.MULTI_STATUS)
