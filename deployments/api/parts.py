"""What the API stands on, and how a request finds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from deployments.api.follow import Follower
from deployments.api.redcap.project import Project
from deployments.api.tokens import Tokens
from flows.runtime import Runtime
from tasks.links import Links
from tasks.store import Store


@dataclass(frozen=True)
class Parts:
    """A running study and the doors' own parts, opened once per process."""

    study: Runtime
    tokens: Tokens
    follower: Follower
    links: Links
    redcap: Project | None
    webhook_secrets: dict[str, str]
    # Asked by those who watch: it says whether the database answers, however busy the doors' pool is.
    watching: Store


async def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


Given = Annotated[Parts, Depends(_parts)]
"""The parameter of an endpoint that works on the study."""
