"""The service's work pool, its deployments and its automation, as they are set up in Prefect.

`deployments.prefect` says how they should be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from flows.prefect_api.flow_runs import FlowRuns

Body = dict[str, Any]


class Setup(FlowRuns):
    """Deployments and automations as Prefect holds them; every call may raise PrefectProblem."""

    def deployed(self, flow: str) -> Body | None:
        """The deployment of a flow, which bears the same name, as Prefect describes it; None when there is
        none.
        """
        return self._object_if_there("GET", f"/deployments/name/{flow}/{flow}")

    def deployed_as(self, ids: Iterable[object]) -> list[Body]:
        """The deployments of these ids that exist."""
        query = {"deployments": {"id": {"any_": [str(each) for each in ids]}}}
        return self._list("/deployments/filter", query)

    def deploy(self, flow: str, contents: Body) -> None:
        """Create the deployment of a flow, or bring it to these contents."""
        known = self._object("POST", "/flows/", {"name": flow})
        self.call("POST", "/deployments/", contents | {"name": flow, "flow_id": known["id"]})

    def pool(self, name: str) -> Body | None:
        """A work pool as Prefect describes it; None when there is none."""
        return self._object_if_there("GET", f"/work_pools/{name}")

    def create_pool(self, contents: Body) -> None:
        """Create a work pool."""
        self.call("POST", "/work_pools/", contents)

    def show_at_work(self, pool: str, name: str, seconds: int) -> None:
        """Show that a process serves a work pool; it says so again within so many seconds."""
        sign = {"name": name, "heartbeat_interval_seconds": seconds}
        self.call("POST", f"/work_pools/{pool}/workers/heartbeat", sign)

    def automations(self, name: str) -> list[Body]:
        """The automations of a name."""
        return self._list("/automations/filter", {"automations": {"name": {"any_": [name]}}})

    def create_automation(self, contents: Body) -> str:
        """Create an automation, and return its id."""
        return str(self._object("POST", "/automations/", contents)["id"])

    def delete_automations(self, automations: Sequence[str]) -> None:
        """Delete automations."""
        for each in automations:
            self.call("DELETE", f"/automations/{each}", absent_is_none=True)
