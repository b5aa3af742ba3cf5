"""The health of the service: /healthz for people and alarms, /livez and /readyz for what starts processes.

- /livez: this process answers. It asks nothing else: a silent database is no reason to start a door anew.
- /readyz: this process can take requests in: the database answers, and the study is at home in it. It asks
  neither the service's loop nor Prefect, without which doors work.
- /healthz: the whole service. 503 when the database or the loop stands still.

Nothing here names a subject or a recipient: no token is asked for.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError

from deployments.api.http.dependencies import ApiContext, Dependencies
from deployments.prefect.server_process import is_ready
from tasks.database.custody import move_in
from tasks.database.monitoring import BACKUP, ROUND, failing_channels, last_beat, overdue
from tasks.database.store import NO_ANSWER, first_line
from tasks.database.troubles import open_troubles
from tasks.database.verifications import Verification, last_verification
from tasks.delivery.recipients import differs

# Longer than some beats of the service's loop, which a busy machine may miss.
BEAT_WITHIN = timedelta(seconds=30)
# A subject that is overdue for longer could not be woken.
LATE = timedelta(minutes=1)

# The paths that ask for no token.
OPEN = frozenset({"/livez", "/readyz", "/healthz"})
SILENT = "the study's database does not answer; the service's log says why"

router = APIRouter(tags=["watching"])
log = logging.getLogger(__name__)

Word = Literal["ok", "degraded", "down"]


class Check(BaseModel):
    """The result of one check: `degraded` needs a look, `down` stops the service's work."""

    status: Word
    said: str


class Health(BaseModel):
    """All checks, and the worst status among them."""

    status: Word
    database: Check
    runner: Check
    prefect: Check
    channels: Check
    study: Check
    backup: Check


@router.get(
    "/healthz",
    summary="Health of the service",
    response_model=Health,
    responses={503: {"model": Health, "description": "The database or the service's loop does not work."}},
)
async def healthz(api: Dependencies) -> JSONResponse:
    """Whether the database, the service's loop, Prefect and the recipients work.

    A Prefect that does not answer is `degraded`, not `down`: reminders go out without it.
    """
    # No token is needed here: repeated requests must use up neither threads nor connections.
    checks = await api.for_watchers(_checks, api)
    worst: Word = max((check.status for check in checks.values()), key=("ok", "degraded", "down").index)
    status = HTTPStatus.SERVICE_UNAVAILABLE if worst == "down" else HTTPStatus.OK
    return JSONResponse(Health(status=worst, **checks).model_dump(), status)


class Life(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
    said: str = "this process answers"


@router.get("/livez", summary="Whether this process answers")
async def livez() -> Life:
    """Always 200: a process that does not answer is to be started anew. Nothing outside it is asked."""
    return Life()


class Readiness(BaseModel):
    """Whether requests may be sent to this process, and what was asked for that."""

    status: Word
    database: Check
    study: Check
    records: Check


@router.get(
    "/readyz",
    summary="Whether this process can take requests in",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "Send requests to another process for the present."}},
)
async def readyz(api: Dependencies) -> JSONResponse:
    """Whether the database answers this process, and the study goes on in it.

    Neither the service's loop nor Prefect is asked: events are taken in without them. See /healthz.
    """
    checks = await api.for_watchers(_readiness, api)
    down = any(check.status == "down" for check in checks.values())
    status = HTTPStatus.SERVICE_UNAVAILABLE if down else HTTPStatus.OK
    return JSONResponse(Readiness(status="down" if down else "ok", **checks).model_dump(), status)


def _readiness(api: ApiContext) -> dict[str, Check]:
    try:
        with api.watching.reading() as connection:
            move, verified = move_in(connection), last_verification(connection)
    except (DBAPIError, *NO_ANSWER) as problem:
        log.error("The study's database does not answer: %s", first_line(problem))
        return {
            "database": Check(status="down", said=SILENT),
            "study": Check(status="degraded", said="not known without the database"),
            "records": Check(status="degraded", said="not known without the database"),
        }
    study, records = Check(status="ok", said="at home in this database"), _records(verified)
    if move is not None:
        study = Check(status="down", said=f"its move to another database is noted here: {move.what}")
    return {"database": Check(status="ok", said="answers"), "study": study, "records": records}


def _records(verified: Verification | None) -> Check:
    """The check of the record by its last verification; findings stop no door."""
    if verified is None:
        return Check(status="ok", said="not verified yet: the service does it once a day, or itp verify")
    # Nothing here names a subject: the board, the log and itp verify do.
    said = verified.said.partition(", first ")[0]
    return Check(status="degraded" if verified.findings else "ok", said=said)


def _checks(api: ApiContext) -> dict[str, Check]:
    clock = api.study.clock
    prefect = _prefect(api)
    try:
        runner = _runner(last_beat(api.watching, ROUND), clock.wall(clock.now()))
        runner = _late(api) if runner.status == "ok" else runner
        channels, study, backup = _channels(api), _study(api), _backup(api, clock.wall(clock.now()))
    except (DBAPIError, *NO_ANSWER) as problem:
        log.error("The study's database does not answer: %s", first_line(problem))
        silent = Check(status="down", said=SILENT)
        unknown = Check(status="degraded", said="not known without the database")
        checks = {"database": silent, "runner": unknown, "prefect": prefect, "channels": unknown}
        return checks | {"study": unknown, "backup": unknown}
    database = Check(status="ok", said="answers")
    checks = {"database": database, "runner": runner, "prefect": prefect, "channels": channels}
    return checks | {"study": study, "backup": backup}


def _runner(beat: datetime | None, wall: datetime) -> Check:
    if beat is None:
        return Check(status="down", said="the service's loop has never run on this study; start itp up")
    if wall - beat > BEAT_WITHIN:
        return Check(
            status="down",
            said=f"the service's loop was last at work at {beat:%Y-%m-%d %H:%M:%S}Z; start itp up",
        )
    return Check(status="ok", said="the service's loop is at work")


def _late(api: ApiContext) -> Check:
    """The check of a loop that is at work: whether it could wake every subject."""
    count, since = overdue(api.watching, api.study.clock.now() - LATE)
    if since is None:
        return Check(status="ok", said="the service's loop is at work")
    said = f"subjects that could not be woken: {count}, since {since:%Y-%m-%d %H:%M}Z"
    return Check(status="degraded", said=f"{said}; the service's log says why")


def _study(api: ApiContext) -> Check:
    """The number of troubles that a person must mend; the board and `itp doctor` name them."""
    count = len(open_troubles(api.watching))
    if not count:
        return Check(status="ok", said="nothing stands in its way")
    return Check(status="degraded", said=f"somebody must mend: {count}; the board and itp doctor say what")


def _backup(api: ApiContext, wall: datetime) -> Check:
    """The last backup that the service made by itself and read back."""
    last = last_beat(api.watching, BACKUP)
    every = api.backup_hours
    if every is None:
        said = f"; the last was of {last:%Y-%m-%d %H:%M}Z" if last else ""
        return Check(status="ok", said=f"none is made by the service: ITP_BACKUP_DIR is not set{said}")
    if last is None:
        return Check(status="ok", said="none has been made yet")
    said = f"the last good one is of {last:%Y-%m-%d %H:%M}Z"
    if wall - last > 2 * timedelta(hours=every):
        return Check(status="degraded", said=f"{said}, and it is overdue; the service's log says why")
    return Check(status="ok", said=said)


def _prefect(api: ApiContext) -> Check:
    if is_ready(api.study.prefect_api):
        return Check(status="ok", said="answers")
    return Check(status="degraded", said="does not answer; notices go out without it")


def _channels(api: ApiContext) -> Check:
    """The number of recipients that fail; their addresses are not shown, as no token is asked for."""
    if differs(api.watching, api.study.channels):
        # Unless this process is the service, the service sends in its place.
        said = "nothing is handed over from here: its recipients are not the study's; see itp recipients"
        return Check(status="down" if api.study.instance.watches else "degraded", said=said)
    failing = [since for _, since, _ in failing_channels(api.watching)]
    if failing:
        since = f"{min(failing):%Y-%m-%d %H:%M}Z"
        said = f"recipients that fail: {len(failing)}, since {since}; the board names them"
        return Check(status="degraded", said=said)
    if problems := api.study.channels.problems:
        return Check(status="degraded", said=f"problems of the channels: {len(problems)}; see itp doctor")
    return Check(status="ok", said="no recipient fails")
