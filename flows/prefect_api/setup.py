"""The service's deployments and its automation, as they are set up in Prefect.

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
        made = self._object("POST", "/deployments/", contents | {"name": flow, "flow_id": known["id"]})
        # Prefect keeps a field that is not mentioned, and a work pool can only be unset by a change.
        if made["work_pool_name"] is not None:
            self.call("PATCH", f"/deployments/{made['id']}", {"work_pool_name": None})

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
