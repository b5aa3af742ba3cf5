"""Events as Prefect has stored them, and the runs that were made of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any
from urllib.parse import quote

from flows.prefect_api.flow_runs import PAGE, Deployment, FlowRuns

# Prefect answers with no more events at once.
EVENTS_PAGE = 50
# A sender says when its event occurred, and its clock may be wrong.
EVER = {"since": "1970-01-01T00:00:00Z", "until": "9999-01-01T00:00:00Z"}


@dataclass(frozen=True, slots=True)
class PostedEvent:
    """An event by its id in Prefect, which received it at an instant of its own clock (UTC)."""

    id: str
    received: datetime
    payload: dict[str, Any]


def stored_events(runs: FlowRuns, types: Collection[str]) -> Iterator[list[PostedEvent]]:
    """The stored events of these types, page by page, those first that occurred last.

    Raises:
        PrefectProblem: Prefect does not answer, or refuses.
    """
    query = {"filter": {"event": {"name": sorted(types)}, "occurred": EVER}, "limit": EVENTS_PAGE}
    page = runs.call("POST", "/events/filter", query)
    while True:
        yield [_event(body) for body in page["events"]]
        if not page["next_page"]:
            return
        # Behind a proxy the address of the link may be one that only Prefect knows.
        token = page["next_page"].partition("page-token=")[2]
        page = runs.call("GET", f"/events/filter/next?page-token={quote(token, safe='')}")


def _event(body: dict[str, Any]) -> PostedEvent:
    return PostedEvent(body["id"], datetime.fromisoformat(body["received"]), body["payload"])


def parameters_since(runs: FlowRuns, deployment: Deployment, since: datetime) -> Iterator[dict[str, Any]]:
    """The parameters of a deployment's runs that were first expected to start at `since` (UTC) or later.

    Raises:
        PrefectProblem: Prefect does not answer, or refuses.
    """
    of = {
        "deployment_id": {"any_": [str(deployment.id)]},
        "expected_start_time": {"after_": since.isoformat()},
    }
    for page in count():
        query = {"flow_runs": of, "sort": "ID_DESC", "limit": PAGE, "offset": page * PAGE}
        found = runs.call("POST", "/flow_runs/filter", query)
        yield from (run["parameters"] for run in found)
        if len(found) < PAGE:
            return


def comparable(payload: object) -> str:
    """A text that equal payloads share."""
    return json.dumps(payload, sort_keys=True)
