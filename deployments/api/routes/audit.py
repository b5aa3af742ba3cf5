"""GET /audit: the audit trail for a review, with the filters of `itp audit`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from deployments.api.http.auth import Reader
from deployments.api.http.dependencies import Dependencies
from deployments.api.http.schemas import ASKING
from deployments.auditing import GIVEN, GivenInstant, given_instant, seen_by
from tasks.audit.entries import Kind, Wanted
from tasks.audit.reading import audit

router = APIRouter(tags=["watching"])


class Audited(BaseModel):
    """An entry of the audit trail. `actor` was signed in; `by` is who was said to state it."""

    at: datetime
    kind: Kind
    subject: str | None
    site: str | None
    actor: str | None
    by: str | None
    door: str | None
    what: str
    details: dict[str, Any]


@router.get("/audit", summary="What a review looks at", responses=ASKING)
def audited(
    api: Dependencies,
    caller: Reader,
    since: Annotated[GivenInstant | None, Query(description=GIVEN)] = None,
    until: Annotated[GivenInstant | None, Query(description=f"{GIVEN}; not included")] = None,
    subject: Annotated[str | None, Query(max_length=64)] = None,
    site: Annotated[str | None, Query(max_length=64)] = None,
    account: Annotated[str | None, Query(max_length=64)] = None,
    kind: Annotated[list[Kind] | None, Query(description="may be repeated")] = None,
    late_days: Annotated[int, Query(ge=0, le=3650)] = 3,
) -> list[Audited]:
    """Corrections, late entries, decisions, sign-ins and the rest, the oldest first.

    An account of some sites gets the entries about their subjects alone.
    """
    at = api.study.protocol.site(site or "01")
    first, end = given_instant(since, at, "since"), given_instant(until, at, "until")
    wanted = Wanted(first, end, subject, site, account, tuple(kind or ()), late_days)
    entries = audit(api.study.store, api.study.protocol, wanted)
    seen = seen_by(caller.account, entries) if caller.account else entries
    return [Audited.model_validate(each, from_attributes=True) for each in seen]
