"""Makes the flows known to Prefect: one deployment for each, applied again and again, never deleted.

Prefect deletes the waiting runs of a deployment that is deleted, and finds none of them through a new one.
"""

from __future__ import annotations

from typing import Any

import httpx
from prefect import Flow
from prefect.deployments.runner import DeploymentApplyError, RunnerDeployment
from prefect.events import DeploymentEventTrigger, DeploymentTriggerTypes, TriggerTypes

from flows.daily_digest import DAILY_DIGEST, daily_digest
from flows.flow_runs import JOURNEY, RECORD_EVENT, Deployment, FlowRuns, PrefectSilent
from flows.forms import FORMS
from flows.publish import STUDY_BOARD
from flows.record_event import record_event
from flows.study_board import study_board
from flows.subject_journey import subject_journey
from itp_events.events import FACT_TYPES

FLOWS: dict[str, Flow[..., Any]] = {
    JOURNEY: subject_journey,
    RECORD_EVENT: record_event,
    STUDY_BOARD: study_board,
    DAILY_DIGEST: daily_digest,
    **{form.name: form for form in FORMS},
}

# Where a worker of Prefect's own finds the flows, with the study opened as the settings say.
ENTRY = "deployments.entry"

# The whole payload of the Prefect event, as the flow's one parameter.
PAYLOAD = {
    "__prefect_kind": "json",
    "value": {"__prefect_kind": "jinja", "template": "{{ event.payload | tojson }}"},
}

TRIGGER = "itp: record events posted to Prefect"

# Every kind of event of the study, posted to Prefect's events API, runs `record-event`. A decision too: its
# run says why it is refused, where nothing would be seen of it otherwise.
TRIGGERS: dict[str, list[DeploymentTriggerTypes | TriggerTypes]] = {
    RECORD_EVENT: [
        DeploymentEventTrigger(
            name=TRIGGER,
            expect=set(FACT_TYPES),
            parameters={"event": PAYLOAD},
        )
    ]
}


def known_deployments(runs: FlowRuns) -> dict[str, Deployment]:
    """The flows' deployments, by flow; applied first when one is missing, or what starts one by an event."""
    found = {name: runs.deployment(name) for name in FLOWS}
    if not (all(found.values()) and runs.has_automation(TRIGGER)):
        apply_deployments()
        found = {name: runs.deployment(name) for name in FLOWS}
    return {name: deployment for name, deployment in found.items() if deployment}


def apply_deployments() -> None:
    """Create the deployments, or bring them up to date.

    Raises:
        PrefectSilent: Prefect does not answer.
    """
    try:
        for name, flow in FLOWS.items():
            deployment = RunnerDeployment.from_flow(flow, name, triggers=TRIGGERS.get(name))
            deployment.entrypoint = f"{ENTRY}.{flow.fn.__name__}"
            deployment.apply()
    except (httpx.HTTPError, DeploymentApplyError, ValueError) as problem:
        # The second is what Prefect's client makes of most failures; what is no Prefect gives the last.
        first_line = str(problem).partition("\n")[0]
        raise PrefectSilent(f"the deployments could not be applied: {first_line}") from problem
