"""The subjects' flow runs as Prefect's API shows them: found, created, planned, claimed.

It speaks plain HTTP with short timeouts: a door answers at once whether Prefect answers or not, and a command
need not load Prefect. Instants are in UTC, in the world's time, as in Prefect. It decides nothing: callers
say which run should be in which state.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID

import httpx

from itp_events.errors import ItpError
from tasks.tls import trusted

JOURNEY = "subject-journey"
RECORD_EVENT = "record-event"
# Prefect answers with no more objects at once.
PAGE = 200
# Claimed runs are executed a few at a time, and the next look comes within seconds.
DUE_AT_ONCE = 50
LIVE = ("SCHEDULED", "PENDING", "RUNNING", "PAUSED")
# With these answers Prefect's server asks for the same request again in a moment.
BUSY = frozenset({httpx.codes.TOO_MANY_REQUESTS, httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE})
# With these answers it would meet every request of ours: the password is another one, or it is too busy.
UNAVAILABLE = BUSY | {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.REQUEST_TIMEOUT}

State = dict[str, Any]


class PrefectProblem(ItpError):
    """Prefect did not do what it was asked."""


class PrefectSilent(PrefectProblem):
    """Prefect's server does not answer, or answers that it cannot now."""


class PrefectRefused(PrefectProblem):
    """Prefect answers and refuses this request; another request may succeed."""


@dataclass(frozen=True)
class FlowRun:
    """One flow run. `since` is the instant of its state, and `planned` the instant for which it is planned.

    `key` is its idempotency key: in each flow Prefect keeps one run for a key. `created` is the instant at
    which the run was asked for, by Prefect's clock. `made_by` is the automation that created it; None when
    none did.
    """

    id: UUID
    name: str
    flow_id: UUID
    deployment_id: UUID | None
    state_type: str
    state_name: str
    since: datetime | None
    planned: datetime | None
    tags: tuple[str, ...]
    parameters: dict[str, Any]
    key: str | None = None
    created: datetime | None = None
    made_by: str | None = None

    @classmethod
    def of(cls, body: dict[str, Any]) -> FlowRun:
        """The flow run that Prefect describes."""
        state = body["state"] or {}
        return cls(
            id=UUID(body["id"]),
            name=body["name"],
            flow_id=UUID(body["flow_id"]),
            deployment_id=_uuid(body["deployment_id"]),
            state_type=state.get("type", ""),
            state_name=state.get("name", ""),
            since=_instant(state.get("timestamp")),
            planned=_instant(state.get("state_details", {}).get("scheduled_time")),
            tags=tuple(body["tags"]),
            parameters=body["parameters"],
            key=body.get("idempotency_key"),
            created=_instant(body.get("created")),
            made_by=(body.get("created_by") or {}).get("id"),
        )

    def waits_as(self, state: State) -> bool:
        """Whether it waits in such a `scheduled` state already."""
        planned = datetime.fromisoformat(state["state_details"]["scheduled_time"])
        return self.state_name == state["name"] and self.planned == planned


@dataclass(frozen=True)
class Deployment:
    """A flow as Prefect knows it; its runs belong to it."""

    id: UUID
    flow_id: UUID

    @classmethod
    def of(cls, body: dict[str, Any]) -> Deployment:
        """The deployment that Prefect describes."""
        return cls(UUID(body["id"]), UUID(body["flow_id"]))

    def journey(self, run: UUID, code: str) -> FlowRun:
        """A subject's flow run as far as it is known without a request."""
        return FlowRun(run, code, self.flow_id, self.id, "", "", None, None, (), {"subject": code}, code)


def scheduled(at: datetime, name: str = "Scheduled", message: str = "") -> State:
    """The state of a run that waits until the instant `at`."""
    details = {"scheduled_time": at.isoformat()}
    return {"type": "SCHEDULED", "name": name, "message": message, "state_details": details}


def refused_state(message: str) -> State:
    """The state of a run whose event was refused. Its type is FAILED, so that nobody takes it for
    recorded.
    """
    return {"type": "FAILED", "name": "Refused", "message": message}


def pending(at: datetime) -> State:
    """The state of a run that is claimed for the instant `at`. Prefect then lets it run from that instant
    on.
    """
    return {"type": "PENDING", "name": "Pending", "state_details": {"scheduled_time": at.isoformat()}}


class FlowRuns:
    """Requests about flow runs; every one may raise PrefectProblem. A timeout is in seconds."""

    def __init__(self, api: str, seconds: float = 2.0) -> None:
        secret = os.environ.get("PREFECT_API_AUTH_STRING")
        user, _, password = (secret or "").partition(":")
        auth = httpx.BasicAuth(user, password) if secret else None
        self.api, self._seconds = api, seconds
        certificates = trusted(trust_env=False)
        self._http = httpx.Client(
            base_url=api, timeout=seconds, auth=auth, trust_env=False, verify=certificates
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def deployment(self, flow: str) -> Deployment | None:
        """The deployment of a flow, which bears the same name; None when there is none."""
        answer = self._object_if_there("GET", f"/deployments/name/{flow}/{flow}")
        return Deployment.of(answer) if answer is not None else None

    def has_automation(self, name: str) -> bool:
        """Whether there is an automation of this name."""
        return bool(self._list("/automations/filter", {"automations": {"name": {"any_": [name]}}}))

    def find(self, codes: Sequence[str]) -> dict[str, FlowRun]:
        """The subjects' journeys that exist, by subject code."""
        runs = [run for page in _pages(codes) for run in self._filter(page)]
        return {run["idempotency_key"]: FlowRun.of(run) for run in runs}

    def in_states(self, deployments: Iterable[Deployment], types: Iterable[str]) -> list[FlowRun]:
        """A page of the runs of some deployments in states of some types, those planned earliest first."""
        query = {"flow_runs": _of(deployments, types), "sort": "EXPECTED_START_TIME_ASC", "limit": PAGE}
        return [FlowRun.of(run) for run in self._list("/flow_runs/filter", query)]

    def live(self, deployment: Deployment) -> int:
        """The number of a deployment's runs that have not ended."""
        answer = self.call("POST", "/flow_runs/count", {"flow_runs": _of([deployment], LIVE)})
        if not isinstance(answer, int):
            raise self._no_sense("/flow_runs/count", answer)
        return answer

    def all_live(self, deployment: Deployment) -> Iterator[FlowRun]:
        """The runs of a deployment that have not ended, page by page."""
        query = {"flow_runs": _of([deployment], LIVE), "sort": "ID_DESC", "limit": PAGE}
        for page in count():
            answer = self._list("/flow_runs/filter", query | {"offset": page * PAGE})
            yield from (FlowRun.of(run) for run in answer)
            if len(answer) < PAGE:
                return

    def read(self, run: UUID) -> FlowRun | None:
        """One flow run; None when there is none."""
        answer = self._object_if_there("GET", f"/flow_runs/{run}")
        return FlowRun.of(answer) if answer is not None else None

    def create(self, deployment: Deployment, code: str, state: State, tags: Iterable[str] = ()) -> FlowRun:
        """Create a subject's journey, or return the one it has."""
        run = {"name": code, "idempotency_key": code, "parameters": {"subject": code}, "state": state}
        path = f"/deployments/{deployment.id}/create_flow_run"
        return FlowRun.of(self._object("POST", path, run | {"tags": list(tags)}))

    def create_named(
        self, deployment: Deployment, name: str, parameters: dict[str, Any], state: State
    ) -> FlowRun:
        """Create the one run of this name, or return the one there is."""
        run = {"name": name, "idempotency_key": name, "parameters": parameters, "state": state}
        return FlowRun.of(self._object("POST", f"/deployments/{deployment.id}/create_flow_run", run))

    def propose(self, run: UUID, state: State) -> bool:
        """Propose a state; return whether Prefect accepted it."""
        answer = self._object_if_there("POST", f"/flow_runs/{run}/set_state", {"state": state})
        return answer is not None and answer["status"] == "ACCEPT"

    def force(self, run: UUID, state: State) -> None:
        """Set a state against Prefect's rules for the order of states."""
        self.call("POST", f"/flow_runs/{run}/set_state", {"state": state, "force": True})

    def tag(self, run: UUID, tags: Iterable[str]) -> None:
        """Replace a run's tags."""
        self.call("PATCH", f"/flow_runs/{run}", {"tags": list(tags)})

    def delete(self, run: UUID) -> None:
        """Delete a run that no deployment can ever start again."""
        self.call("DELETE", f"/flow_runs/{run}", absent_is_none=True)

    def due(self, deployments: Iterable[Deployment], before: datetime) -> list[FlowRun]:
        """Runs planned for `before` or earlier that nobody has claimed."""
        query = {
            "deployment_ids": [str(deployment.id) for deployment in deployments],
            "scheduled_before": before.isoformat(),
        }
        runs = self._list("/deployments/get_scheduled_flow_runs", query | {"limit": DUE_AT_ONCE})
        return [FlowRun.of(run) for run in runs]

    def _filter(self, codes: Sequence[str]) -> list[dict[str, Any]]:
        runs = {"idempotency_key": {"any_": list(codes)}}
        query = {"flow_runs": runs, "flows": {"name": {"any_": [JOURNEY]}}, "limit": PAGE}
        return self._list("/flow_runs/filter", query)

    def _list(self, path: str, query: Any) -> list[dict[str, Any]]:
        """The objects that Prefect finds by a query."""
        answer = self.call("POST", path, query)
        if not isinstance(answer, list) or not all(isinstance(each, dict) for each in answer):
            raise self._no_sense(path, answer)
        return answer

    def _object(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """The object that Prefect answers with."""
        answer = self.call(method, path, body)
        if not isinstance(answer, dict):
            raise self._no_sense(path, answer)
        return answer

    def _object_if_there(self, method: str, path: str, body: Any = None) -> dict[str, Any] | None:
        """The object that Prefect answers with; None when it has none (404)."""
        answer = self.call(method, path, body, absent_is_none=True)
        if answer is not None and not isinstance(answer, dict):
            raise self._no_sense(path, answer)
        return answer

    def _no_sense(self, path: str, answer: object) -> PrefectSilent:
        return PrefectSilent(f"what answers {path} at {self.api} is not Prefect's API: {str(answer)[:80]}")

    def call(self, method: str, path: str, body: Any = None, *, absent_is_none: bool = False) -> Any:
        """Send one request to Prefect's API, and return the JSON of its answer; None for an empty one.

        With `absent_is_none` the answer 404 gives None too.

        Raises:
            PrefectSilent: Prefect cannot answer now.
            PrefectRefused: Prefect refuses this request.
        """
        answer = self._patiently(method, path, body)
        if absent_is_none and answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.is_error:
            raise problem_of(answer)
        return _json(answer) if answer.content else None

    def _patiently(self, method: str, path: str, body: Any) -> httpx.Response:
        deadline = time.monotonic() + self._seconds
        while True:
            answer = self._once(method, path, body)
            if answer.status_code not in BUSY or time.monotonic() > deadline:
                return answer
            time.sleep(0.05)  # noqa: TID251 - nothing tells when the server's SQLite is free again

    def _once(self, method: str, path: str, body: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, json=body)
        except httpx.TransportError as problem:
            raise PrefectSilent(f"Prefect does not answer at {self._http.base_url}: {problem!r}") from problem


def problem_of(answer: httpx.Response) -> PrefectProblem:
    """The error that an answer of Prefect stands for: PrefectRefused for this request, or PrefectSilent."""
    asked = answer.request
    said = f"Prefect answers {answer.status_code} to {asked.method} {asked.url.path}: {answer.text[:200]}"
    refused = answer.is_client_error and answer.status_code not in UNAVAILABLE
    return PrefectRefused(said) if refused else PrefectSilent(said)


class _Answer(dict[str, Any]):
    """A JSON object of Prefect's. A key that Prefect always gives and this one lacks raises PrefectSilent."""

    def __missing__(self, name: str) -> Any:
        raise PrefectSilent(f"what answers is not Prefect's API: no {name!r} in {str(dict(self))[:80]}")


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json(object_hook=_Answer)
    except ValueError as problem:
        raise PrefectSilent(f"what answers at {answer.url} is not Prefect's API") from problem


def _of(deployments: Iterable[Deployment], types: Iterable[str]) -> dict[str, Any]:
    """Prefect's filter for the runs of some deployments in states of some types."""
    return {
        "deployment_id": {"any_": [str(deployment.id) for deployment in deployments]},
        "state": {"type": {"any_": list(types)}},
    }


def _pages(codes: Sequence[str]) -> Iterable[Sequence[str]]:
    return (codes[first : first + PAGE] for first in range(0, len(codes), PAGE))


def _uuid(text: str | None) -> UUID | None:
    return UUID(text) if text else None


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
