"""The REDCap project that the settings name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock, Semaphore
from typing import Annotated

from fastapi import Depends, Request

from deployments.api.redcap.client import Redcap, Trigger
from deployments.api.redcap.mapping import Mapping, load_mapping
from deployments.bootstrap.settings import Settings
from itp_events.errors import BadInput
from tasks.limits import REDCAP_FETCHERS


class Turns:
    """Lets the threads of this process look at one form one after the other, so that none looks in vain.

    Other processes are not kept from it: the database decides between them.
    """

    def __init__(self) -> None:
        # Forms that share a lock only wait for each other.
        self._locks = tuple(Lock() for _ in range(32))
        self._taken: Counter[Trigger] = Counter()

    @contextmanager
    def of(self, form: Trigger) -> Iterator[None]:
        """Wait for the form's turn, and keep it."""
        self._taken[form] += 1
        try:
            with self._locks[hash(form) % len(self._locks)]:
                yield
        finally:
            self._taken[form] -= 1
            if not self._taken[form]:
                del self._taken[form]

    def is_taken(self, form: Trigger) -> bool:
        """Whether a thread of this process looks at the form just now, or will in a moment."""
        return form in self._taken


@dataclass(frozen=True)
class Project:
    """A REDCap project, how its forms become events, and the key that its trigger's address carries.

    `fetchers` counts the forms that the door may fetch at once. `waiting` is set when a form waits for
    another thread to fetch it. `turns` orders the threads that look at one form.
    """

    redcap: Redcap
    mapping: Mapping
    key: str
    fetchers: Semaphore = field(default_factory=lambda: Semaphore(REDCAP_FETCHERS), compare=False)
    waiting: Event = field(default_factory=Event, compare=False)
    turns: Turns = field(default_factory=Turns, compare=False)

    @classmethod
    def from_settings(cls, settings: Settings) -> Project | None:
        """The project; None when no REDCap is named.

        Raises:
            BadInput: some of its settings are missing, or the mapping cannot be read.
        """
        if not settings.redcap_url:
            return None
        if not settings.redcap_token or settings.redcap_mapping is None:
            raise BadInput("also set ITP_REDCAP_TOKEN and ITP_REDCAP_MAPPING", "ITP_REDCAP_URL")
        redcap = Redcap(settings.redcap_url, settings.redcap_token.get_secret_value())
        key = settings.redcap_key.get_secret_value()
        return cls(redcap, load_mapping(settings.redcap_mapping), key)


async def _project(request: Request) -> Project | None:
    project: Project | None = request.app.state.redcap
    return project


GivenProject = Annotated[Project | None, Depends(_project)]
"""The parameter of an endpoint that works on the REDCap project; None when the settings name none."""
