"""The REDCap project that the settings name."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event, Semaphore
from typing import Annotated

from fastapi import Depends, Request

from deployments.api.redcap.client import Redcap
from deployments.api.redcap.mapping import Mapping, load_mapping
from deployments.bootstrap.settings import Settings
from itp_events.errors import BadInput

# Each holds a thread of the doors' for as long as REDCap takes: a REDCap that is slow may not take them all.
FETCHERS = 8


@dataclass(frozen=True)
class Project:
    """A REDCap project, how its forms become events, and the key that its trigger's address carries.

    `fetchers`: how many more forms the door may fetch now. `waiting`: a form waits to be fetched by another.
    """

    redcap: Redcap
    mapping: Mapping
    key: str
    fetchers: Semaphore = field(default_factory=lambda: Semaphore(FETCHERS), compare=False)
    waiting: Event = field(default_factory=Event, compare=False)

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
