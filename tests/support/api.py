"""The HTTP API of a study of its own, served on a free port of this machine."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import httpx

from deployments.api.http.dependencies import ApiContext
from deployments.api.http.examples import ENROLLED
from deployments.api.http.tokens import Role, Tokens, new_token
from deployments.api.redcap.project import Project
from deployments.api.serve import Api
from deployments.bootstrap.settings import Settings
from deployments.bootstrap.study import open_study
from flows.study.runtime import Runtime
from itp_events.protocol.model import Audience
from tests.support.databases import migrated_sqlite
from tests.support.ports import free_port
from tests.support.waiting import wait_until

Json = dict[str, Any]


@dataclass
class Door:
    """A served API, and the study behind it."""

    api: ApiContext
    settings: Settings
    client: httpx.Client
    project: Project | None = None

    @property
    def study(self) -> Runtime:
        """The study behind the API."""
        return self.api.study

    @property
    def now(self) -> datetime:
        """The study's present instant."""
        return self.study.clock.now()

    def token(self, role: Role) -> dict[str, str]:
        """The header of a fresh token; from the first one on, everybody needs one."""
        token, entry = new_token(role)
        setting = self.settings.api_tokens.get_secret_value()
        Tokens.from_setting(setting, self.settings.data_dir).add(entry, "test")
        return {"Authorization": f"Bearer {token}"}

    def post(self, stated: Any, **how: Any) -> httpx.Response:
        """POST /events."""
        return self.client.post("/events", json=stated, **how)

    def get(self, path: str, **how: Any) -> httpx.Response:
        """GET a path."""
        return self.client.get(path, **how)

    def enrol(self, code: str = "ITP-001", days_ago: int = 3, **data: Any) -> Json:
        """Enrol an eligible subject some days ago; the event."""
        stated = enrolment(code, self.now - timedelta(days=days_ago), **data)
        answer = self.post(stated)
        assert answer.status_code == httpx.codes.CREATED, answer.text
        return stated


def apprise_config(path: Path, url: str) -> Path:
    """An Apprise configuration that sends each audience's notices to its own path of one address."""
    path.write_text("".join(f"{audience}={url}{audience}\n" for audience in get_args(Audience)))
    return path


def event(kind: str, code: str, at: datetime, data: Json) -> Json:
    """A CloudEvent that somebody reports at an instant, under an id of its own."""
    return {
        "specversion": "1.0",
        "id": uuid.uuid4().hex,
        "source": "test",
        "type": f"itp.{kind}",
        "subject": code,
        "time": at.isoformat(),
        "data": {"by": "crc-01"} | data,
    }


def enrolment(code: str, at: datetime, **data: Any) -> Json:
    """The enrolment of an eligible subject on the UTC day before an instant: no zone is behind that."""
    on = (at - timedelta(days=1)).date()
    given: Json = deepcopy(ENROLLED["data"]) | {"on": f"{on}", "consent_on": f"{on - timedelta(days=7)}"}
    del given["first_infusion_on"]
    return event("subject.enrolled", code, at, given | data)


def done(visit: str, on: datetime, code: str = "ITP-001", **data: Any) -> Json:
    """A visit done on the UTC day before an instant, and reported at it."""
    day = (on - timedelta(days=1)).date()
    return event("visit.completed", code, on, {"visit": visit, "on": f"{day}", **data})


@contextmanager
def served(home: Path, **settings: Any) -> Iterator[Door]:
    """Open a study in `home` and serve it."""
    port = free_port()
    # Nothing listens on port 9: Prefect is silent, as a door must bear.
    given: Json = {"prefect_api_url": "http://127.0.0.1:9/api", "api_port": port, "data_dir": home} | settings
    chosen = Settings(**given)
    if not chosen.database_url.get_secret_value() and not (file := home / "study.db").exists():
        migrated_sqlite(file)
    study = open_study(chosen)
    api = Api(chosen, study)
    try:
        api.start()
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, verify=False, timeout=30
        ) as client:
            door = Door(api.api, chosen, client, api.project)
            wait_until(lambda: _answers(client), "the API to answer")
            yield door
    finally:
        api.stop()
        study.store.close()


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/livez").is_success
    except httpx.TransportError:
        return False


def instant(text: str) -> datetime:
    """An instant from its ISO form, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)
