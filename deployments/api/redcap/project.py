"""The REDCap project that the settings name."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event, Semaphore
from typing import Annotated

from fastapi import Depends, Request

from deployments.api.redcap.client import Redcap
from deployments.api.redcap.gate import StudyGate
from deployments.api.redcap.mapping import Mapping, load_mapping
from deployments.bootstrap.settings import Settings
from flows.study.runtime import Runtime
from itp_events.errors import BadInput
from tasks.limits import REDCAP_FETCHERS


@dataclass(frozen=True)
class Project:
    """A REDCap project, how its forms become events, and the key that its trigger's address carries.

    `wall` tells the world's time (UTC), `process` names this process among those of the study. `fetchers`
    counts the forms that the door may fetch at once. `waiting` is set when a form waits for another thread to
    fetch it.
    """

    redcap: Redcap
    gate: StudyGate
    mapping: Mapping
    key: str
    wall: Callable[[], datetime]
    fetchers: Semaphore = field(default_factory=lambda: Semaphore(REDCAP_FETCHERS), compare=False)
    process: str = field(default_factory=lambda: secrets.token_hex(8), compare=False)
    waiting: Event = field(default_factory=Event, compare=False)

    @classmethod
    def from_settings(cls, settings: Settings, study: Runtime) -> Project | None:
        """The project of a study, whose database keeps count of the requests; None when no REDCap is named.

        Raises:
            BadInput: some of its settings are missing, or the mapping cannot be read.
        """
        if not settings.redcap_url:
            return None
        if not settings.redcap_token or settings.redcap_mapping is None:
            raise BadInput("also set ITP_REDCAP_TOKEN and ITP_REDCAP_MAPPING", "ITP_REDCAP_URL")
        named = (settings.redcap_url, settings.redcap_token.get_secret_value())
        gate = StudyGate(study.store, study.wall, *named, settings.redcap_requests_per_minute)
        key = settings.redcap_key.get_secret_value()
        return cls(Redcap(*named, gate), gate, load_mapping(settings.redcap_mapping), key, study.wall)


async def _project(request: Request) -> Project | None:
    project: Project | None = request.app.state.redcap
    return project


GivenProject = Annotated[Project | None, Depends(_project)]
"""The parameter of an endpoint that works on the REDCap project; None when the settings name none."""
