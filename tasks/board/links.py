"""Addresses in Prefect's UI, and the keys of the artifacts there.

Prefect's runs page begins with the runs of the past week, and a journey takes 14 months. So work lists are
links and saved searches with an explicit range of two years. Links in notices are made in
`tasks.delivery.links`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

BOARD = "study-board"
BEFORE = timedelta(days=430)
AFTER = timedelta(days=300)
_PLAIN = re.compile("[A-Z0-9]+(-[A-Z0-9]+)*")


@dataclass(frozen=True, slots=True)
class WorkList:
    """Flow runs that belong together: all that bear a tag, or every subject's."""

    name: str
    tag: str | None

    def address(self, today: date, journeys: str | None) -> str:
        """Its page, with two years around `today`; `journeys` is the id of the journeys' flow."""
        query = {"type": "range", **_range(today), "flow-runs-sort": "NAME_ASC"}
        query |= {"tag": self.tag} if self.tag else {}
        query |= {"flow": journeys} if journeys else {}
        return f"/runs?{urlencode(query)}"

    def search(self, today: date, journeys: str | None) -> dict[str, Any]:
        """The same as one of Prefect's saved searches."""
        filters = [_filter("range", {"type": "range", **_range(today)})]
        filters += [_filter("tag", [self.tag])] * bool(self.tag)
        filters += [_filter("flow", [journeys])] * bool(journeys)
        return {"name": f"ITP: {self.name}", "filters": filters}


WORK_LISTS = (
    WorkList("all subjects", None),
    WorkList("overdue", "overdue"),
    WorkList("escalated", "escalated"),
    WorkList("on hold", "on-hold"),
    WorkList("waiting for the investigator", "waits:investigator"),
)


def _range(today: date) -> dict[str, str]:
    """The range from the beginning to the end of days in UTC: today's runs are inside it in every time
    zone.
    """
    first, last = today - BEFORE, today + AFTER
    return {"startDate": f"{first}T00:00:00.000Z", "endDate": f"{last}T23:59:59.000Z"}


def _filter(name: str, value: Any) -> dict[str, Any]:
    return {"object": "flowRun", "property": name, "type": "", "operation": "", "value": value}


def key(what: str, code: str) -> str:
    """An artifact's key for a subject: Prefect allows lower-case letters, digits and dashes alone.

    A code that has more than these in capitals gets a mark of its own: no two subjects share a page.
    """
    mark = "" if _PLAIN.fullmatch(code) else f"-{sha256(code.encode()).hexdigest()[:10]}"
    return f"{what}-{re.sub('[^a-z0-9]+', '-', code.lower()).strip('-')}{mark}"


def plan_key(code: str) -> str:
    """The key of the artifact that shows a subject's plan."""
    return key("plan", code)


def progress_key(code: str) -> str:
    """The key of the artifact that shows how far a subject has come."""
    return key("progress", code)


def artifact(artifact_id: str) -> str:
    """The page of an artifact, by its id."""
    return f"/artifacts/artifact/{artifact_id}"


def flow_run(run: str) -> str:
    """The page of a flow run, by its id."""
    return f"/runs/flow-run/{run}"


def subject_alone(code: str) -> str:
    """The id of a resource to which all events of one subject are related.

    Prefect's event feed takes the resource that it is asked for as a prefix: `itp.subject.ITP-1` begins
    ITP-10's too. No code has a slash, so that no such id begins another.
    """
    return f"itp.subject.{code}/"


def happened(code: str | None = None) -> str:
    """The event feed of the past week, for which Prefect keeps events: the study's, or one subject's."""
    query = {"resource": subject_alone(code)} if code else {"events": "itp.*"}
    return f"/events?{urlencode(query | {'type': 'span', 'seconds': -7 * 86400})}"
