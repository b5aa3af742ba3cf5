"""The open study and the API's own parts, and how a route gets them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, TypeVar
from typing import Protocol as Interface

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Path, Request

from deployments.api.background import Background
from deployments.api.http.doorkeeper import Doorkeeper
from deployments.api.http.sign_on import SignOn
from flows.study.runtime import Runtime
from tasks.advance import Answer
from tasks.database.store import Store
from tasks.delivery.claims import NOTHING, Claimed
from tasks.delivery.links import Links
from tasks.limits import DOORS, WATCHERS

Result = TypeVar("Result")


class Follower(Interface):
    """Does the work that follows an answer; `deployments.api.background` says how."""

    def places(self, subjects: int) -> AbstractContextManager[bool]:
        """Keep a sender ready for each of so many subjects while a door records; False when some are busy."""

    def follow(self, answers: Iterable[Answer], claimed: Claimed = NOTHING) -> None:
        """Send what these answers made due, and show the new waits."""


class Recorder(Interface):
    """The parts that a door records with: the study, and the work that follows an answer."""

    @property
    def study(self) -> Runtime:
        """The running study."""

    @property
    def background(self) -> Follower:
        """Does the work that follows an answer."""


@dataclass(frozen=True)
class ApiContext:
    """A running study and the API's own parts, opened once per process."""

    study: Runtime
    doorkeeper: Doorkeeper
    background: Background
    links: Links
    webhook_secrets: dict[str, str]
    # The connection of monitoring, apart from the pool: it shows whether the database answers a busy API.
    watching: Store
    # The hours between two backups that the service makes by itself; None when it makes none.
    backup_hours: float | None = None
    # The hospital's own sign-on; None: people sign in here alone.
    sign_on: SignOn | None = None
    doors: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(DOORS), compare=False)
    # One at a time: hashing a password takes memory, and nobody may guess side by side.
    sign_ins: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1), compare=False)
    watchers: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(WATCHERS), compare=False)

    async def in_door(self, step: Callable[..., Result], *given: Any) -> Result:
        """Run `step` in one of the threads that are kept for recording; returns its result."""
        return await to_thread.run_sync(partial(step, *given), limiter=self.doors)

    async def for_watchers(self, step: Callable[..., Result], *given: Any) -> Result:
        """Run `step` in one of the threads that are kept for monitoring; returns its result."""
        return await to_thread.run_sync(partial(step, *given), limiter=self.watchers)


async def _context(request: Request) -> ApiContext:
    api: ApiContext = request.app.state.api
    return api


Dependencies = Annotated[ApiContext, Depends(_context)]
"""The parameter of an endpoint that works on the study."""

Code = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", examples=["ITP-007"])]
"""The subject code in a path."""
