"""GET /subjects: the subjects' states, and the plan of each."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from deployments.api.http.auth import Caller, Reader
from deployments.api.http.dependencies import ApiContext, Code, Dependencies
from deployments.api.http.problems import Problem
from deployments.api.http.schemas import ABSENT, ASKING
from itp_events.outputs.plan import plan
from itp_events.outputs.plan_json import document
from tasks.database.queries import SubjectRow, all_subjects, codes_near, history, subject
from tasks.database.unreadable import naming

router = APIRouter(
    tags=["subjects"],
)


class SubjectSummary(BaseModel):
    """The state of a subject. Instants are in UTC; `wake_at` is when something can next become due."""

    subject: str
    site: str
    status: str
    state: str
    message: str
    wake_at: datetime | None
    exited: bool
    tags: list[str]
    protocol_version: str
    enrolled_at: datetime
    advanced_at: datetime
    flow_run_id: str | None

    @classmethod
    def of(cls, row: SubjectRow) -> SubjectSummary:
        """The state as the database keeps it."""
        return cls.model_validate(
            {name: getattr(row, name) for name in cls.model_fields if name != "subject"}
            | {"subject": row.code}
        )


def enrolled(api: ApiContext, code: str, caller: Caller | None = None) -> SubjectRow:
    """The row of a subject; with `caller` of one whom it sees.

    Raises:
        Problem: 404 when no such subject is enrolled.
    """
    row = subject(api.study.store, code)
    if row is None or (caller is not None and not caller.sees(row.site)):
        # The codes of other sites are not for everybody.
        near = codes_near(api.study.store, code) if caller is None or caller.sites is None else ""
        raise Problem(HTTPStatus.NOT_FOUND, "subject", f"{code} is not enrolled{near}")
    return row


@router.get("/subjects", summary="All subjects, in order of code", responses=ASKING)
def subjects(
    api: Dependencies,
    caller: Reader,
    after: Annotated[
        str | None, Query(description="only codes that sort after this one", max_length=64)
    ] = None,
    limit: Annotated[
        int | None, Query(ge=1, le=10_000, description="the largest number of subjects to return")
    ] = None,
) -> list[SubjectSummary]:
    """The state of each subject as it was decided last."""
    rows = [
        row
        for row in all_subjects(api.study.store)
        if (after is None or row.code > after) and caller.sees(row.site)
    ]
    return [SubjectSummary.of(row) for row in rows[:limit]]


@router.get("/subjects/{code}", summary="One subject", responses=ASKING | ABSENT)
def one_subject(code: Code, api: Dependencies, caller: Reader) -> SubjectSummary:
    """The subject's state as it was decided last."""
    return SubjectSummary.of(enrolled(api, code, caller))


@router.get("/subjects/{code}/plan", summary="The subject's plan", responses=ASKING | ABSENT)
def subject_plan(code: Code, api: Dependencies, caller: Reader) -> dict[str, Any]:
    """Every visit with its window and its anchor, and the notices to come; as `itp plan --json`.

    Each visit names the protocol `version` that holds for it. `consents` lists what versions ask for anew
    since the subject was assigned to them, with the date on which it was given.
    """
    enrolled(api, code, caller)
    with naming(code):
        facts = history(api.study.store, code)
        return document(plan(api.study.protocol, facts, api.study.clock.now()))
