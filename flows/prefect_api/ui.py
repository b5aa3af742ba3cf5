"""Requests about artifacts, saved searches, events and automations: all that Prefect's UI shows besides runs.

What they say is made in `flows.pages`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx

from flows.prefect_api.flow_runs import Deployment, FlowRuns, problem_of
from tasks.board.happenings import Happening
from tasks.board.links import subject_alone

# The server refuses a request with more events than this.
EVENTS_AT_ONCE = 50


class PrefectUI(FlowRuns):
    """Requests for Prefect's UI; every one may raise PrefectProblem."""

    def update_artifact(self, artifact: str, data: Any, description: str) -> bool:
        """Show new data in an artifact; return False when Prefect has it no more."""
        path = f"/artifacts/{artifact}"
        answer = self._patiently("PATCH", path, {"data": data, "description": description})
        if answer.status_code == httpx.codes.NOT_FOUND:
            return False
        if answer.is_error:
            raise problem_of(answer)
        return True

    def create_artifact(self, key: str, kind: str, data: Any, description: str, run: str | None) -> str:
        """Make an artifact under a key, also on the page of a flow run; return its id."""
        body = {"key": key, "type": kind, "data": data, "description": description, "flow_run_id": run}
        made = self.call("POST", "/artifacts/", body)
        return str(made["id"])

    def has_artifact(self, artifact: str) -> bool:
        """Whether Prefect still has an artifact."""
        return self.call("GET", f"/artifacts/{artifact}", absent_is_none=True) is not None

    def page(self, path: str) -> str:
        """The whole address of a page of the UI."""
        return f"{os.environ.get('PREFECT_UI_URL') or self.api.removesuffix('/api')}{path}"

    def log(self, run: str, lines: Iterable[str], at: datetime) -> None:
        """Add lines to a flow run's log, where addresses become links."""
        common = {"name": "itp", "level": logging.INFO, "timestamp": at.isoformat(), "flow_run_id": run}
        self.call("POST", "/logs/", [common | {"message": line} for line in lines])

    def tag_if_there(self, run: str, tags: Sequence[str]) -> None:
        """Replace a run's tags. A run that is missing gets its tags when the repair creates it."""
        self.call("PATCH", f"/flow_runs/{run}", {"tags": list(tags)}, absent_is_none=True)

    def describe(self, deployment: Deployment, text: str) -> None:
        """Say something on a deployment's page, as Markdown."""
        self.call("PATCH", f"/deployments/{deployment.id}", {"description": text})

    def save_search(self, search: dict[str, Any]) -> None:
        """Keep a filter for the runs page under its name, in place of the one before."""
        self.call("PUT", "/saved_searches/", search)

    def tell(self, code: str, run: str | None, told: Sequence[tuple[Happening, datetime]]) -> None:
        """Post events about a subject, each with its instant (UTC, the world's time). The same event counts
        once.
        """
        for first in range(0, len(told), EVENTS_AT_ONCE):
            self.call("POST", "/events", [_event(code, run, *each) for each in told[first:][:EVENTS_AT_ONCE]])

    def ensure_automation(self, automation: dict[str, Any]) -> None:
        """Create an automation unless there is one of its name, which stays as users left it."""
        if not self.has_automation(automation["name"]):
            self.call("POST", "/automations/", automation)


def _event(code: str, run: str | None, happening: Happening, at: datetime) -> dict[str, Any]:
    return {
        "id": str(happening.id),
        "occurred": at.isoformat(),
        "event": happening.name,
        "resource": {"prefect.resource.id": f"itp.subject.{code}", "prefect.resource.name": code},
        "related": list(_related(code, run)),
        "payload": happening.details | {"at": happening.at.isoformat()},
    }


def _related(code: str, run: str | None) -> Iterable[dict[str, str]]:
    yield {
        "prefect.resource.id": subject_alone(code),
        "prefect.resource.role": "subject",
        "prefect.resource.name": code,
    }
    if run:
        yield {
            "prefect.resource.id": f"prefect.flow-run.{run}",
            "prefect.resource.role": "flow-run",
            "prefect.resource.name": code,
        }


def refresh_on_trouble(deployment: UUID) -> dict[str, Any]:
    """The shipped example: when somebody must act, the board is brought up to date at once."""
    return {
        "name": "itp: example: bring the board up to date when somebody must act",
        "description": "Copy it and choose another action, as a message to a channel of your own.",
        "enabled": True,
        "trigger": {
            "type": "event",
            "posture": "Reactive",
            "match": {"prefect.resource.id": "itp.subject.*"},
            "expect": ["itp.withdrawal.flagged", "itp.notice.undelivered"],
            "threshold": 1,
            "within": 0,
        },
        "actions": [
            {
                "type": "run-deployment",
                "source": "selected",
                "deployment_id": str(deployment),
                "parameters": {},
            }
        ],
    }
