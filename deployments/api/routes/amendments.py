"""GET /amendments/{version}: what a version would change for the subjects, as `itp amendment preview`."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel

from deployments.amending.changes import document, to_move, would_change
from deployments.api.http.auth import Reader
from deployments.api.http.dependencies import Dependencies
from deployments.api.http.problems import Problem
from deployments.api.http.schemas import ASKING, problem
from itp_events.errors import BadInput

router = APIRouter(tags=["watching"])


class Change(BaseModel):
    """A change: `about` which visit, if any; `what` is a window, a booking, a notice, or the state."""

    about: str
    what: str
    today: str
    would_be: str


class Moved(BaseModel):
    """The changes for one subject, which follows `version` today."""

    subject: str
    version: str
    changes: list[Change]


class Amended(BaseModel):
    """The changes at an instant: now, or the first of the version's first day if that is later."""

    version: str
    as_of: datetime
    subjects: list[Moved]


@router.get(
    "/amendments/{version}",
    summary="What a protocol version would change",
    responses=ASKING | {404: problem("No such version is installed.")},
)
def amended(version: Annotated[str, Path(max_length=200)], api: Dependencies, caller: Reader) -> Amended:
    """Windows, bookings, notices and states that change for each subject that would move to the version.

    Nothing is recorded. A subject moves by its own event `itp.protocol.assigned`; `itp amendment apply`
    states them all in one signed step. What the version asks for anew is recorded by `itp.consent.given`.
    """
    study = api.study
    try:
        study.protocol.of_version(version)
    except BadInput as error:
        raise Problem(HTTPStatus.NOT_FOUND, "protocol-version", error.problem) from error
    rows = [row for row in to_move(study.store, version, None, ()) if caller.sees(row.site)]
    found = would_change(study.store, study.protocol, version, rows, study.clock.now())
    return Amended.model_validate(document(found))
