"""GET /leftovers: what was received and could not be turned into recorded events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from deployments.api.http.auth import Reader
from deployments.api.http.dependencies import Dependencies
from deployments.api.http.schemas import ASKING
from tasks.database.dead_letters import open_dead_letters

router = APIRouter(tags=["watching"], dependencies=[Reader])


class Left(BaseModel):
    """One thing that is left: through which door it came, what it is about, and what is wrong with it."""

    id: int
    door: str
    about: str
    problem: str
    body: Any
    at: datetime


@router.get("/leftovers", summary="What could not be mapped to events", responses=ASKING)
def leftovers(api: Dependencies) -> list[Left]:
    """Oldest first; a line goes when the same thing comes through later."""
    return [Left.model_validate(each, from_attributes=True) for each in open_dead_letters(api.study.store)]
