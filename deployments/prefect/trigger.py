"""The automation by which events posted to Prefect come in, held as the service has applied it.

Its template decides what is recorded of an event that somebody posts, and Prefect's API lets anybody change
it. So it is compared before what it brought is recorded, and put back; what it brought while it was another's
work is refused, for its sender to state again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flows.prefect_api.flow_runs import Deployment, FlowRun
from flows.prefect_api.setup import Body, Setup
from itp_events.events import FACT_TYPES
from tasks.database.prefect_notes import keep_note, note
from tasks.database.store import Store

TRIGGER = "itp: record events posted to Prefect"
NOTE = "trigger"
KEPT = 5

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
    """The automation as the service has made it, `updated` by Prefect's clock, and others it made before.

    Nobody but the service has changed those `before`: what they brought is what was stated.
    """

    id: str
    updated: str
    before: tuple[str, ...] = ()

    @classmethod
    def of(cls, known: dict[str, Any] | None) -> Applied | None:
        """What was noted of it, if anything was."""
        if known is None:
            return None
        return cls(known["id"], known["updated"], tuple(known["before"]))

    def to_note(self) -> dict[str, Any]:
        """What is noted of it."""
        return {"id": self.id, "updated": self.updated, "before": list(self.before[-KEPT:])}

    def is_untouched(self, body: Body) -> bool:
        """Whether this is it, and nobody has changed it since."""
        return (body["id"], body["updated"]) == (self.id, self.updated)


@dataclass(frozen=True)
class Trigger:
    """Compares the automation, puts it back, and tells what it brought unaltered."""

    store: Store
    setup: Setup
    record_event: Deployment

    def put_back(self) -> str | None:
        """See to it that there is the one automation, as it should be; what was wrong, in words.

        What was changed is not changed back but made anew: Prefect may act for some seconds on what it was,
        and what that brings bears its id.

        Raises:
            PrefectProblem: Prefect does not answer, or refuses.
        """
        wanted, known = automation(self.record_event), Applied.of(note(self.store, NOTE))
        found = self.setup.automations(TRIGGER)
        if known is None:
            self._begin(wanted, found)
            return None
        mine = next((body for body in found if known.is_untouched(body)), None)
        if mine is not None and is_as(wanted, mine):
            self.setup.delete_automations([body["id"] for body in found if body is not mine])
            return None
        # Nobody but an older program made what it made differently.
        self._make(wanted, found, (*known.before, known.id) if mine else ())
        if mine is not None:
            return None
        was = "had been changed" if any(body["id"] == known.id for body in found) else "was missing"
        return f"the automation by which posted events come in {was}"

    def _begin(self, wanted: Body, found: Sequence[Body]) -> None:
        """Take on what there is when this study uses this Prefect for the first time."""
        if len(found) == 1 and is_as(wanted, found[0]):
            self._keep(Applied(found[0]["id"], found[0]["updated"]))
        else:
            self._make(wanted, found, tuple(body["id"] for body in found))

    def _make(self, wanted: Body, found: Sequence[Body], believed: tuple[str, ...]) -> None:
        """Make it anew in place of what was found; there is one all the time, so no event is missed."""
        made = self.setup.create_automation(wanted)
        for body in self.setup.automations(TRIGGER):
            if body["id"] == made:
                self._keep(Applied(made, body["updated"], believed))
        self.setup.delete_automations([body["id"] for body in found])

    def _keep(self, applied: Applied) -> None:
        keep_note(self.store, NOTE, applied.to_note())

    def brought(self, run: FlowRun) -> bool:
        """Whether a run was started by no automation, or by this one while it was as it should be."""
        known = Applied.of(note(self.store, NOTE))
        return run.made_by is None or (known is not None and run.made_by in (known.id, *known.before))
