"""Prefect's API, as far as it concerns what the service sets up there: deployments, and one automation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from flows.flow_runs import FlowRuns

Body = dict[str, Any]


class Setup(FlowRuns):
    """Deployments and automations as Prefect holds them; every call may raise PrefectProblem."""

    def deployed(self, flow: str) -> Body | None:
        """The deployment of a flow, which bears the same name, with all that Prefect says of it."""
        found: Body | None = self._call("GET", f"/deployments/name/{flow}/{flow}", absent_is_none=True)
        return found

    def deployed_as(self, ids: Iterable[object]) -> list[Body]:
        """The deployments of these ids that exist."""
        query = {"deployments": {"id": {"any_": [str(each) for each in ids]}}}
        found: list[Body] = self._call("POST", "/deployments/filter", query)
        return found

    def deploy(self, flow: str, contents: Body) -> None:
        """Create the deployment of a flow, or bring it to these contents."""
        known = self._call("POST", "/flows/", {"name": flow})
        made = self._call("POST", "/deployments/", contents | {"name": flow, "flow_id": known["id"]})
        # Prefect keeps what is not mentioned, and a work pool cannot be unset but by a change.
        if made["work_pool_name"] is not None:
            self._call("PATCH", f"/deployments/{made['id']}", {"work_pool_name": None})

    def automations(self, name: str) -> list[Body]:
        """The automations of a name."""
        found: list[Body] = self._call(
            "POST", "/automations/filter", {"automations": {"name": {"any_": [name]}}}
        )
        return found

    def create_automation(self, contents: Body) -> None:
        """Create an automation."""
        self._call("POST", "/automations/", contents)

    def replace_automation(self, automation: str, contents: Body) -> None:
        """Bring an automation to these contents."""
        self._call("PUT", f"/automations/{automation}", contents)

    def delete_automations(self, automations: Sequence[str]) -> None:
        """Delete automations."""
        for each in automations:
            self._call("DELETE", f"/automations/{each}", absent_is_none=True)
