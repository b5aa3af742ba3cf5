"""The automation by which events posted to Prefect come in, held as the service has applied it.

Its template decides what is recorded of an event that somebody posts, and Prefect's API lets anybody change
it. So it is compared before what it brought is recorded, and put back; what it brought while it was another's
work is refused, for its sender to state again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flows.flow_runs import Deployment, FlowRun
from flows.prefect_setup import Body, Setup
from itp_events.events import FACT_TYPES
from tasks.prefect_notes import keep_note, note
from tasks.store import Store

TRIGGER = "itp: record events posted to Prefect"
NOTE = "trigger"
EVER = datetime.min.replace(tzinfo=UTC)

# The whole payload of the Prefect event, as the flow's one parameter.
PAYLOAD = {
    "__prefect_kind": "json",
    "value": {"__prefect_kind": "jinja", "template": "{{ event.payload | tojson }}"},
}


def automation(record_event: Deployment) -> Body:
    """What the automation is to be: every kind of event of the study runs `record-event`.

    A decision too: its run says why it is refused, where nothing would be seen of it otherwise.
    """
    return {
        "name": TRIGGER,
        "description": "Kept by the service as it is: a change is put back, and what came by it is refused.",
        "enabled": True,
        "trigger": {
            "type": "event",
            "posture": "Reactive",
            "match": {},
            "match_related": {},
            "after": [],
            "expect": sorted(FACT_TYPES),
            "for_each": [],
            "threshold": 1,
            "within": 0.0,
        },
        "actions": [
            {
                "type": "run-deployment",
                "source": "selected",
                "deployment_id": str(record_event.id),
                "parameters": {"event": PAYLOAD},
                "job_variables": None,
                "schedule_after": 0.0,
            }
        ],
        "actions_on_trigger": [],
        "actions_on_resolve": [],
    }


def is_as(wanted: Body, body: Body) -> bool:
    """Whether an automation does what is wanted; ids and the order of what it expects aside."""
    return _essence(body | {"trigger": {**body["trigger"], "id": None}}, wanted) == _essence(wanted, wanted)


def _essence(body: Body, like: Body) -> Body:
    trigger = {name: body["trigger"].get(name) for name in like["trigger"]}
    trigger["expect"] = sorted(trigger["expect"] or ())
    return {name: body.get(name) for name in like} | {"trigger": trigger}


@dataclass(frozen=True)
class Applied:
    """The automation as the service left it: `updated` by Prefect's clock, and its own work since `since`."""

    id: str
    updated: str
    since: datetime

    @classmethod
    def of(cls, known: dict[str, Any] | None) -> Applied | None:
        """What was noted of it, if anything was."""
        if known is None:
            return None
        return cls(known["id"], known["updated"], datetime.fromisoformat(known["since"]))

    def to_note(self) -> dict[str, str]:
        """What is noted of it."""
        return {"id": self.id, "updated": self.updated, "since": self.since.isoformat()}


@dataclass(frozen=True)
class Trigger:
    """Compares the automation, puts it back, and tells what it brought unaltered."""

    store: Store
    setup: Setup
    record_event: Deployment

    def put_back(self) -> str | None:
        """See to it that there is the one automation, as it should be; what was wrong, in words.

        Raises:
            PrefectProblem: Prefect does not answer, or refuses.
        """
        wanted, known = automation(self.record_event), Applied.of(note(self.store, NOTE))
        found = self.setup.automations(TRIGGER)
        first = found[0] if found else None
        mine = next((body for body in found if known and body["id"] == known.id), first)
        self.setup.delete_automations([body["id"] for body in found if body is not mine])
        if mine is None:
            self.setup.create_automation(wanted)
            self._keep(since=None)
            return None if known is None else "the automation by which posted events come in was missing"
        right = is_as(wanted, mine)
        untouched = known is not None and (mine["id"], mine["updated"]) == (known.id, known.updated)
        if right and untouched:
            return None
        if not right:
            self.setup.replace_automation(mine["id"], wanted)
        # Nobody but an older program has changed it: what came by it meanwhile is what was stated.
        self._keep(since=EVER if known is None else known.since if untouched else None)
        if known is None or untouched:
            return None
        return "the automation by which posted events come in had been changed"

    def _keep(self, since: datetime | None) -> None:
        """Note how it stands in Prefect now; a change between is seen the next time."""
        for body in self.setup.automations(TRIGGER)[:1]:
            updated = body["updated"]
            applied = Applied(body["id"], updated, since or datetime.fromisoformat(updated))
            keep_note(self.store, NOTE, applied.to_note())

    def brought(self, run: FlowRun) -> bool:
        """Whether a run was started by no automation, or by this one while it was as it should be."""
        if run.made_by is None:
            return True
        known = Applied.of(note(self.store, NOTE))
        if known is None or run.created is None:
            return False
        return run.made_by == known.id and run.created > known.since
