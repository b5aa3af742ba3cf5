"""GET /leftovers: messages that were received and could not be turned into recorded events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from deployments.api.http.auth import Reader
from deployments.api.http.dependencies import Dependencies
from deployments.api.http.schemas import ASKING
from tasks.database.dead_letters import open_dead_letters

router = APIRouter(
    tags=["watching"],
)


class Left(BaseModel):
    """A received message that gave no event: its door, its subject matter, its content and its problem."""

    id: int
    door: str
    about: str
    problem: str
    body: Any
    at: datetime


@router.get("/leftovers", summary="Received messages that gave no event", responses=ASKING)
def leftovers(api: Dependencies, caller: Reader) -> list[Left]:
    """The oldest first. A message leaves the list when the same message is recorded later.

    None for an account of some sites alone, since a message may be of any site.
    """
    if caller.sites is not None:
        return []
    return [Left.model_validate(each, from_attributes=True) for each in open_dead_letters(api.study.store)]
