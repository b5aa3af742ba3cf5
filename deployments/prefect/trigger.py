"""Applies the automation that records events posted to Prefect, and refuses events of a changed one.

The automation's template decides about the recorded content of a posted event, and Prefect's API lets every
client change it. So it is compared before its events are recorded, and put back. What a changed automation
made of an event is refused; the event itself, as it was posted, gets another run.
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

# The whole payload of the Prefect event is the flow's one parameter.
PAYLOAD = {
    "__prefect_kind": "json",
    "value": {"__prefect_kind": "jinja", "template": "{{ event.payload | tojson }}"},
}


def automation(record_event: Deployment) -> Body:
    """The contents of the automation: every type of the study's events runs `record-event`.

    A decision too: its run shows the reason of its refusal.
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
    """Whether an automation has the wanted contents, ids and the order of its event types aside."""
    return _essence(body | {"trigger": {**body["trigger"], "id": None}}, wanted) == _essence(wanted, wanted)


def _essence(body: Body, like: Body) -> Body:
    trigger = {name: body["trigger"].get(name) for name in like["trigger"]}
    trigger["expect"] = sorted(trigger["expect"] or ())
    return {name: body.get(name) for name in like} | {"trigger": trigger}


@dataclass(frozen=True)
class Applied:
    """The automation as the service made it, `updated` by Prefect's clock.

    `before` are ids of earlier ones that only the service changed: their events are as they were stated.
    """

    id: str
    updated: str
    before: tuple[str, ...] = ()

    @classmethod
    def of(cls, known: dict[str, Any] | None) -> Applied | None:
        """The automation that a note describes; None without a note."""
        if known is None:
            return None
        return cls(known["id"], known["updated"], tuple(known["before"]))

    def to_note(self) -> dict[str, Any]:
        """The note that describes it."""
        return {"id": self.id, "updated": self.updated, "before": list(self.before[-KEPT:])}

    def is_untouched(self, body: Body) -> bool:
        """Whether an automation of Prefect is this one, unchanged since it was applied."""
        return (body["id"], body["updated"]) == (self.id, self.updated)


@dataclass(frozen=True)
class EventTrigger:
    """Keeps the automation as the service made it, and tells its runs from those of a changed one."""

    store: Store
    setup: Setup
    record_event: Deployment

    def put_back(self) -> str | None:
        """Make sure that there is one automation with the wanted contents.

        Returns its fault in words, or None. A changed automation is replaced by a new one: Prefect may act
        for some seconds on the changed one, whose events bear its id.

        Raises:
            PrefectProblem: Prefect does not answer, or refuses.
        """
        wanted, known = automation(self.record_event), Applied.of(note(self.store, NOTE))
        present = self.setup.automations(TRIGGER)
        if known is None:
            self._begin(wanted, present)
            return None
        untouched = next((body for body in present if known.is_untouched(body)), None)
        if untouched is not None and is_as(wanted, untouched):
            self.setup.delete_automations([body["id"] for body in present if body is not untouched])
            return None
        # An automation that is untouched and differs was made by an older version of the program.
        self._make(wanted, present, (*known.before, known.id) if untouched else ())
        if untouched is not None:
            return None
        was = "had been changed" if any(body["id"] == known.id for body in present) else "was missing"
        return f"the automation by which posted events come in {was}"

    def _begin(self, wanted: Body, present: Sequence[Body]) -> None:
        """Keep or replace the automations of a Prefect that this study uses for the first time."""
        if len(present) == 1 and is_as(wanted, present[0]):
            self._keep(Applied(present[0]["id"], present[0]["updated"]))
        else:
            self._make(wanted, present, tuple(body["id"] for body in present))

    def _make(self, wanted: Body, present: Sequence[Body], believed: tuple[str, ...]) -> None:
        """Replace the found automations by a new one; one exists all the time, so that no event is missed."""
        made = self.setup.create_automation(wanted)
        for body in self.setup.automations(TRIGGER):
            if body["id"] == made:
                self._keep(Applied(made, body["updated"], believed))
        self.setup.delete_automations([body["id"] for body in present])

    def _keep(self, applied: Applied) -> None:
        keep_note(self.store, NOTE, applied.to_note())

    def brought(self, run: FlowRun) -> bool:
        """Whether a run may be executed: no automation started it, or the service's own, unchanged, did."""
        known = Applied.of(note(self.store, NOTE))
        return run.made_by is None or (known is not None and run.made_by in (known.id, *known.before))
